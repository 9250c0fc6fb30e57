import type { DetectPolicy } from '../vocabulary.ts'

/** The policy for one server and prober: of the overrides that fit both, a later one wins. Where none fits it is the same object. */
export function detectFor(detect: DetectPolicy, server: string, prober: string): DetectPolicy {
  let own = detect
  for (const { servers, probers, ...thresholds } of detect.overrides)
    if ((servers?.includes(server) ?? true) && (probers?.includes(prober) ?? true)) own = { ...own, ...thresholds }
  return own
}
