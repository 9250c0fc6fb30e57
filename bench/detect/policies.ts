import type { DetectPolicy, PolicyInput } from '@pintail/core'
import { calmed } from '../../packages/core/src/detect/calm.ts'
import { resolvePolicy } from '../../packages/core/src/options.ts'

/** A setting of detection as it is compared: one for all backgrounds. */
export interface Contender {
  readonly name: string
  readonly detect: DetectPolicy
  readonly vantages: number
  /** Whether Pintail's guards stand before its moves, and whether users come home as soon as the server answers. */
  readonly isGuarded: boolean
  readonly aims?: { readonly packets: number; readonly p50: number; readonly p99: number; readonly even2: number; readonly bursty5: number }
}

/** Servers of the fleet: as many as `prober-partition` has. */
export const fleet = 10

function contender(name: string, detect: NonNullable<PolicyInput['detect']>, rest: Partial<Contender> = {}): Contender {
  const vantages = rest.vantages ?? 1
  const resolved = resolvePolicy({ detect }).policy.detect
  return {
    name,
    vantages,
    isGuarded: true,
    ...rest,
    detect: calmed(resolved, { vantages, servers: fleet }),
  }
}

/** What packets closer together, or farther apart, would do to `cusum`. */
export const cusumIntervals: readonly Contender[] = [500, 1000, 4000].map((intervalMs) =>
  contender(`cusum-${intervalMs}ms`, { detector: 'cusum', cusum: { intervalMs } }),
)

export const contenders: readonly Contender[] = [
  contender('seed', { preset: 'seed' }),
  contender('seed-budget', { preset: 'seed-budget' }, { aims: { packets: 1.2, p50: 38, p99: 68, even2: 0.001, bursty5: 0.2 } }),
  contender('default', {}, { aims: { packets: 14, p50: 10.5, p99: 13, even2: 0.001, bursty5: 0.2 } }),
  contender('default-3v', {}, { vantages: 3, aims: { packets: 14, p50: 6.5, p99: 9.5, even2: 0.001, bursty5: 0.1 } }),
  contender('cusum', { detector: 'cusum' }),
  // Headscale asks its subnet routers each 10 s and fails over when one answer has not come within 5 s (its settings
  // node.routes.ha.probe_interval and probe_timeout).
  contender(
    'one-miss',
    { preset: 'seed', checkIntervalMs: 10_000, pingCount: 1, pingTimeoutMs: 5000, migrationThreshold: 1, recoveryThreshold: 1 },
    { isGuarded: false },
  ),
]
