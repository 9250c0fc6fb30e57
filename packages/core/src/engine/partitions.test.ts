import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ObservationSource } from '../ports.ts'
import { createFleet, type Fleet } from '../testing/index.ts'

/** Vantages elsewhere that see what is so, from places that are never lost. */
function elsewhere(
  names: readonly string[],
  servers: number,
  everyMs: number,
  clock: { now(): number; setTimeout(then: () => void, ms: number): unknown },
) {
  const source: ObservationSource = {
    async *samples({ signal }) {
      while (!signal.aborted) {
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, everyMs))
        for (const vantage of names)
          for (let one = 1; one <= servers; one++)
            yield { serverId: `s${one}`, vantage, prober: 'icmp', sentAt: clock.now(), sent: 1, received: 1, rttMs: [30] }
      }
    },
  }
  return source
}

const moves = (fleet: Fleet) => fleet.events.filter(({ type }) => type === 'connection.moved' || type === 'move.started').length

test('a prober that loses its network wholly causes no move, in 1,000 worlds, with vantages elsewhere and without', async () => {
  const drawn = fc.record({
    servers: fc.integer({ min: 1, max: 12 }),
    vantages: fc.array(fc.constantFrom('ir', 'de', null), { maxLength: 3 }),
    everyMs: fc.constantFrom(2000, 5000),
    before: fc.integer({ min: 0, max: 20_000 }),
    lost: fc.integer({ min: 100, max: 45_000 }),
    minAudienceVantages: fc.integer({ min: 1, max: 3 }),
    hasCanary: fc.boolean(),
    seed: fc.nat(),
  })
  await fc.assert(
    fc.asyncProperty(drawn, async ({ servers, vantages, everyMs, before, lost, minAudienceVantages, hasCanary, seed }) => {
      const named = Object.fromEntries(vantages.map((region, index) => [`v${index}`, region === null ? {} : { region }]))
      const canaries = hasCanary ? [{ host: '192.0.2.1' }] : []
      const fleet = await createFleet({
        servers,
        connections: 1,
        seed,
        policy: { mode: 'auto', detect: { vantages: named, minAudienceVantages, canaries } },
        ...(vantages.length > 0 && { replace: ({ clock }) => ({ observations: elsewhere(Object.keys(named), servers, everyMs, clock) }) }),
      })
      await fleet.advance(before)
      fleet.partition(true)
      await fleet.advance(lost)
      fleet.partition(false)
      await fleet.advance(20_000)
      expect(moves(fleet)).toBe(0)
      await fleet.stop()
    }),
    { seed: 20260215, numRuns: 1000 },
  )
}, 570_000)

test('in whatever order servers fail and recover, nothing is decided while more are down or suspect than the cap', async () => {
  const step = fc.record({ server: fc.integer({ min: 1, max: 12 }), fails: fc.boolean(), waits: fc.integer({ min: 0, max: 9000 }) })
  const drawn = fc.record({
    servers: fc.integer({ min: 3, max: 12 }),
    ratio: fc.constantFrom(0, 0.3, 0.5, 1),
    steps: fc.array(step, { minLength: 4, maxLength: 25 }),
    seed: fc.nat(),
  })
  await fc.assert(
    fc.asyncProperty(drawn, async ({ servers, ratio, steps, seed }) => {
      const fleet = await createFleet({
        servers,
        connections: 2,
        seed,
        policy: { mode: 'auto', guards: { massFailureRatio: ratio, dampingCeiling: 100 } },
      })
      await fleet.advance(10_000)
      for (const { server, fails, waits } of steps) {
        const id = `s${1 + (server % servers)}`
        if (fails) fleet.kill(id)
        else fleet.revive(id)
        await fleet.advance(waits)
      }
      await fleet.advance(20_000)
      const cap = Math.max(1, Math.floor(ratio * servers))
      const verdicts = new Map<string, string>()
      let most = 0
      for (const { type, data } of fleet.events) {
        if (type === 'server.verdict_changed') verdicts.set(data.serverId, data.verdict)
        if (type !== 'decision.made') continue
        most = Math.max(most, [...verdicts.values()].filter((verdict) => verdict === 'down' || verdict === 'suspect').length)
      }
      expect(most).toBeLessThanOrEqual(cap)
      await fleet.stop()
    }),
    { seed: 20260216, numRuns: 100 },
  )
})
