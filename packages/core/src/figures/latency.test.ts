import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseServer } from '../rows.ts'
import type { Coordinates } from '../vocabulary.ts'
import { distanceKm, middleOf, roundTripOver } from './distance.ts'
import { Latencies, type Reach } from './latency.ts'

const frankfurt = { latitude: 50.11, longitude: 8.68 }
const saoPaulo = { latitude: -23.55, longitude: -46.63 }
const anywhere = fc.record({
  latitude: fc.double({ min: -90, max: 90, noNaN: true }),
  longitude: fc.double({ min: -180, max: 180, noNaN: true }),
})

function reach(id: string, coordinates: Coordinates | null, patch: Partial<Reach> & { region?: string } = {}): Reach {
  const { region = null, ...rest } = patch
  const parsed = parseServer({ id, host: '10.0.0.1', coordinates, region })
  if (!parsed.ok) throw new Error(id)
  return { server: parsed.value, rttMs: null, ...rest }
}
const known = (targets: readonly Reach[], regions: readonly (string | null)[], given = {}) =>
  new Latencies(targets, new Set(regions), given)

test('distances are those of published tables', () => {
  // Great-circle distances between airports: FRA–GRU 9 808 km, LHR–JFK 5 540 km.
  expect(distanceKm({ latitude: 50.026, longitude: 8.543 }, { latitude: -23.432, longitude: -46.469 })).toBeCloseTo(9808, -2)
  expect(distanceKm({ latitude: 51.4775, longitude: -0.4614 }, { latitude: 40.6398, longitude: -73.7789 })).toBeCloseTo(5540, -2)
  expect(distanceKm({ latitude: 0, longitude: 179.5 }, { latitude: 0, longitude: -179.5 })).toBeCloseTo(111.2, 0)
  expect(distanceKm({ latitude: 90, longitude: 0 }, { latitude: -90, longitude: 0 })).toBeCloseTo(Math.PI * 6371.0088, 6)
})

test('a distance is the same both ways, at most half the way round, and never NaN', () => {
  fc.assert(
    fc.property(anywhere, anywhere, (a, b) => {
      const km = distanceKm(a, b)
      expect(km).toBeGreaterThanOrEqual(0)
      expect(km).toBeLessThanOrEqual(Math.PI * 6371.01)
      expect(Math.abs(distanceKm(b, a) - km)).toBeLessThan(1e-6)
    }),
    { seed: 20261210, numRuns: 2000 },
  )
})

test('the middle of two places is as far from both, also across the date line; opposite places have none', () => {
  const [fiji, samoa] = [
    { latitude: -17.7, longitude: 178 },
    { latitude: -13.8, longitude: -172.1 },
  ]
  const middle = middleOf([fiji, samoa]) as Coordinates
  expect(distanceKm(middle, fiji)).toBeCloseTo(distanceKm(middle, samoa), 6)
  expect(distanceKm(middle, fiji)).toBeLessThan(700)
  expect(middleOf([])).toBeNull()
  expect(
    middleOf([
      { latitude: 0, longitude: 0 },
      { latitude: 0, longitude: 180 },
    ]),
  ).toBeNull()
})

test('the vantages of a region come before the distance, that before vantages of no region, and nothing is made up', () => {
  const all = reach('all', frankfurt, { rttMs: 12, rttFor: new Map([['br', 231.4]]), region: 'eu' })
  const far = reach('far', frankfurt, { rttMs: 12, region: 'eu' })
  const plain = reach('plain', null, { rttMs: 12 })
  const home = reach('home', saoPaulo, { region: 'br' })
  const none = reach('none', null)
  const latencies = known([all, far, plain, home, none], ['br', 'eu', null])
  expect(latencies.of('br', all)).toEqual({ ms: 231.4, note: '231.4 ms from the vantages of region br' })
  const km = Math.round(distanceKm(frankfurt, saoPaulo))
  expect(latencies.of('br', far)).toMatchObject({ note: `${km} km from region br: about 148 ms` })
  expect(latencies.of('br', far)?.ms).toBeCloseTo(roundTripOver(distanceKm(frankfurt, saoPaulo)), 9)
  expect(latencies.of('eu', all)?.note).toBe('0 km from region eu: about 0 ms')
  expect(latencies.of('br', plain)).toEqual({ ms: 12, note: '12 ms from the prober (of no region)' })
  expect(latencies.of(null, far)?.ms).toBe(12)
  expect(latencies.of('br', none)).toBeNull()
  expect(latencies.of(null, none)).toBeNull()
})

test('a region is where the policy says, else in the middle of its servers, else nowhere', () => {
  const server = reach('s', frankfurt, { region: 'eu' })
  expect(known([server], ['za']).of('za', server)).toBeNull()
  expect(known([server], ['za'], { za: { latitude: -26.2, longitude: 28 } }).of('za', server)?.note).toMatch(
    /^86\d\d km from region za: about 1\d\d ms$/,
  )
  expect(known([server], ['eu'], { eu: saoPaulo }).of('eu', server)?.note).toMatch(/^98\d\d km from region eu/)
})

test('what differs by noise alone is the same', () => {
  const [a, b] = [reach('a', null, { rttMs: 31 }), reach('b', null, { rttMs: 34 })]
  const latencies = known([a, b], [null])
  expect(latencies.shareOf(null, a)).toBe(latencies.shareOf(null, b))
  expect(latencies.shareOf(null, a)).toBe(0.9)
})

test('steps become coarser where servers would differ in too many ways, and a value is always between 0 and 1', () => {
  const regions = Array.from({ length: 20 }, (_, index) => `r${index}`)
  // Numbers that look random, so that nearly every server is another.
  const rtt = (server: number, index: number) => ((server * 7919 + index * 104_729) % 3989) / 10
  const targets = Array.from({ length: 3000 }, (_, server) =>
    reach(`s${server}`, null, { rttFor: new Map(regions.map((region, index) => [region, rtt(server, index)])) }),
  )
  const latencies = known(targets, regions)
  expect(latencies.stepMs).toBeGreaterThan(10)
  expect(new Set(targets.map((target) => latencies.keyOf(target))).size).toBeLessThanOrEqual(512)
  for (const target of targets) {
    const share = latencies.shareOf('r3', target) as number
    expect(share).toBeGreaterThanOrEqual(0)
    expect(share).toBeLessThanOrEqual(1)
  }
  expect(known(targets, ['r1']).stepMs).toBe(10)
})
