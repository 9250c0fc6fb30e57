import type { Prober, ProbeTarget } from '@pintail/core'

/**
 * The same prober, with more time for a server that answers: on a machine that stands still for a while its answer is late,
 * and for a prober that is as it should be.
 */
export function unhurried(prober: Prober, isPatient: (target: ProbeTarget) => boolean = () => true): Prober {
  const withTime = (target: ProbeTarget): ProbeTarget =>
    isPatient(target) && target.timeoutMs > 0 ? { ...target, timeoutMs: Math.max(target.timeoutMs, 30_000) } : target
  const { probeMany } = prober
  return {
    ...prober,
    probe: (target, ctx) => prober.probe(withTime(target), ctx),
    ...(probeMany && {
      async *probeMany(targets, ctx) {
        const given = new Map(targets.map((target) => [withTime(target), target]))
        for await (const { target, result } of probeMany([...given.keys()], ctx)) yield { target: given.get(target) ?? target, result }
      },
    }),
  }
}
