import type { Clock, ProbeResult, Prober, ProbeTarget, SampleInput } from '@pintail/core'
import { PintailError } from '@pintail/core'

export interface TapOptions {
  readonly vantage: string
  readonly clock: Clock
  /** Null: this target may be probed; otherwise why not. */
  readonly refuse: (target: ProbeTarget) => string | null
  readonly told: (sample: SampleInput, target: ProbeTarget) => void
}

/** The same prober, and each of its results as a sample. What is no evidence for it is none here: no result, no sample. */
export function tapped(prober: Prober, { vantage, clock, refuse, told }: TapOptions): Prober {
  const tell = (target: ProbeTarget, sentAt: number, result: ProbeResult): void => {
    if (isPossible(result)) {
      const { sent, received, rttMs, failure = null } = result
      told({ serverId: target.serverId, vantage, prober: prober.name, sentAt, sent, received, rttMs, failure }, target)
    }
  }
  const one: Prober = {
    name: prober.name,
    async probe(target, ctx) {
      const why = refuse(target)
      if (why !== null) throw new PintailError('prober_unavailable', why)
      const sentAt = clock.now()
      const result = await prober.probe(target, ctx)
      if (!ctx.signal.aborted) tell(target, sentAt, result)
      return result
    },
  }
  const many = prober.probeMany?.bind(prober)
  if (!many) return one
  return {
    ...one,
    async *probeMany(targets, ctx) {
      const sentAt = clock.now()
      for await (const each of many(
        targets.filter((target) => refuse(target) === null),
        ctx,
      )) {
        if (!ctx.signal.aborted) tell(each.target, sentAt, each.result)
        yield each
      }
    },
  }
}

/** What core would refuse is not sent either. */
function isPossible({ sent, received, rttMs }: ProbeResult): boolean {
  const isCount = (value: number, low: number, high: number) => Number.isInteger(value) && value >= low && value <= high
  return (
    isCount(sent, 1, 10_000) &&
    isCount(received, 0, sent) &&
    rttMs.length <= Math.min(received, 100) &&
    rttMs.every((ms) => ms >= 0 && ms < 1e7)
  )
}
