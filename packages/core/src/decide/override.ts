import type { DetectPolicy } from '../vocabulary.ts'
import { confirmationMs } from './calm.ts'

/** Whom the thresholds are wanted for. Without the last two nothing is lengthened. */
export interface Subject {
  readonly server: string
  readonly prober: string
  /** Healthy vantages that look at it. */
  readonly vantages?: number
  /** Servers in the fleet. */
  readonly servers?: number
}

/** The policy for one server and prober: later overrides win, and confirmation is as long as the fleet needs it. */
export function detectFor(detect: DetectPolicy, { server, prober, vantages, servers }: Subject): DetectPolicy {
  let own = detect
  for (const { servers: ids, probers: names, ...thresholds } of detect.overrides)
    if ((ids?.includes(server) ?? true) && (names?.includes(prober) ?? true)) own = { ...own, ...thresholds }
  if (!own.confirm || vantages === undefined || servers === undefined) return own
  const durationMs = confirmationMs(own, { vantages, servers })
  return durationMs === own.confirm.durationMs ? own : { ...own, confirm: { ...own.confirm, durationMs } }
}
