import fc from 'fast-check'
import { expect, test } from 'vitest'
import { resolvePolicy } from '../options.ts'
import { calmed, confirmationMs, falseAlarmsPerYear } from './calm.ts'
import { detectFor } from './override.ts'
import { nextTurn } from './turn.ts'

const { detect } = resolvePolicy().policy

test('a fleet has at most one false evacuation a month, however large it is, and confirmation is never shorter than the policy says', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 9 }), (servers, vantages) => {
      const ms = confirmationMs(detect, { vantages, servers })
      expect(falseAlarmsPerYear(detect, ms, vantages) * servers).toBeLessThanOrEqual(12)
      expect(ms).toBeGreaterThanOrEqual(vantages === 1 ? 7000 : 3000)
      expect(confirmationMs(detect, { vantages, servers: servers * 2 })).toBeGreaterThanOrEqual(ms)
    }),
    { seed: 20260101, numRuns: 200 },
  )
})

test('one vantage confirms for 7 s, for 8 to 11 s in fleets of thousands; several for 3 s', () => {
  expect(confirmationMs(detect, { vantages: 1, servers: 10 })).toBe(7000)
  expect(confirmationMs(detect, { vantages: 3, servers: 10 })).toBe(3000)
  expect(confirmationMs(detect, { vantages: 1, servers: 1000 })).toBeGreaterThan(8000)
  expect(confirmationMs(detect, { vantages: 1, servers: 100_000 })).toBeLessThan(11_000)
})

test('a policy is lengthened for its fleet, and is the same object where nothing changes', () => {
  expect(calmed(detect, { vantages: 1, servers: 10 })).toBe(detect)
  expect(calmed(detect, { vantages: 1, servers: 10_000 }).confirm).toEqual({ ...detect.confirm, durationMs: 9200 })
})

test('confirmation ends somewhere even where no length would be enough', () => {
  const loud = {
    ...detect,
    falseEvacuationsPerMonth: 0.001,
    checkIntervalMs: 60_000,
    confirm: { intervalMs: 60_000, durationMs: 0, timeoutMs: 1000 },
  }
  expect(confirmationMs(loud, { vantages: 1, servers: 1e9 })).toBeLessThanOrEqual(3_600_000)
})

test('who names a duration gets that one, and who asks for calm as well gets both', () => {
  const given = (input: Parameters<typeof resolvePolicy>[0]) => resolvePolicy({ detect: input as never }).policy.detect
  const own = given({ confirm: { durationMs: 1000 } } as never)
  expect(own.falseEvacuationsPerMonth).toBeNull()
  expect(confirmationMs(own, { vantages: 1, servers: 10_000 })).toBe(1000)
  const both = given({ confirm: { durationMs: 1000 }, falseEvacuationsPerMonth: 1 } as never)
  expect(confirmationMs(both, { vantages: 1, servers: 10_000 })).toBeGreaterThan(8000)
  expect(confirmationMs(resolvePolicy({ detect: { preset: 'seed' } }).policy.detect, { vantages: 1, servers: 10_000 })).toBe(0)
})

test('an override holds for its servers and probers, the later one wins, and the rest of the policy stays', () => {
  const policy = resolvePolicy({
    detect: {
      overrides: [
        { probers: ['tls'], latencyThresholdMs: 800, pingTimeoutMs: 5000 },
        { servers: ['far'], latencyThresholdMs: 500 },
        { servers: ['far'], probers: ['icmp'], migrationThreshold: 5 },
      ],
    },
  }).policy.detect
  const of = (server: string, prober: string) => {
    const { latencyThresholdMs, pingTimeoutMs, migrationThreshold } = detectFor(policy, server, prober)
    return [latencyThresholdMs, pingTimeoutMs, migrationThreshold]
  }
  expect(of('near', 'icmp')).toEqual([300, 3000, 3])
  expect(of('near', 'tls')).toEqual([800, 5000, 3])
  expect(of('far', 'tls')).toEqual([500, 5000, 3])
  expect(of('far', 'icmp')).toEqual([500, 3000, 5])
  expect(detectFor(policy, 'near', 'icmp')).toBe(policy)
})

test('an override that names what there is not, or nonsense, is refused by its place in the list', () => {
  const problems = (overrides: unknown) => {
    try {
      resolvePolicy({ detect: { overrides } } as never)
    } catch (error) {
      return (error as { problems: readonly { path: string }[] }).problems.map(({ path }) => path)
    }
    return []
  }
  expect(problems([{ latencyMs: 5 }])).toEqual(['policy.detect.overrides.0.latencyMs'])
  expect(problems([{}, { migrationThreshold: 0 }])).toEqual(['policy.detect.overrides.1.migrationThreshold'])
  expect(problems([{ servers: ['a'], checkIntervalMs: 60_000 }])).toEqual([])
})

test('vantages that take turns look once each interval between them, and none of them twice', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(1e12), fc.nat(5000), (vantages, now, phase) => {
      const dues = Array.from({ length: vantages }, (_, index) => nextTurn(now, 5000, { index, vantages }, phase)).sort((a, b) => a - b)
      for (const [place, due] of dues.entries()) {
        expect(due).toBeGreaterThan(now)
        expect(due - (dues[0] ?? 0)).toBe(place * 5000)
      }
      expect((dues[0] ?? 0) - now).toBeLessThanOrEqual(5000)
    }),
    { seed: 20260101, numRuns: 300 },
  )
})
