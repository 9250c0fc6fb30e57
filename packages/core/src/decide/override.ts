import type { DetectPolicy } from '../vocabulary.ts'

interface Indexed {
  readonly servers: ReadonlySet<string> | null
  readonly probers: ReadonlySet<string> | null
  readonly thresholds: Partial<DetectPolicy>
}

/** Made once a policy: a large fleet asks for every check. */
const indexes = new WeakMap<DetectPolicy, readonly Indexed[]>()

function indexOf(detect: DetectPolicy): readonly Indexed[] {
  const known = indexes.get(detect)
  if (known) return known
  const made = detect.overrides.map(({ servers, probers, ...thresholds }) => ({
    servers: servers ? new Set(servers) : null,
    probers: probers ? new Set(probers) : null,
    thresholds,
  }))
  indexes.set(detect, made)
  return made
}

/** The policy for one server and prober: of the overrides that fit both, a later one wins. Where none fits it is the same object. */
export function detectFor(detect: DetectPolicy, server: string, prober: string): DetectPolicy {
  let own = detect
  if (detect.overrides.length === 0) return own
  for (const { servers, probers, thresholds } of indexOf(detect))
    if ((servers?.has(server) ?? true) && (probers?.has(prober) ?? true)) own = { ...own, ...thresholds }
  return own
}
