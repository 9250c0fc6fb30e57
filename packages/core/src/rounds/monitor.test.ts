import { afterEach, expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { CallContext, ProbeResult, Prober, ProbeTarget } from '../ports.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/fleet.ts'
import type { PolicyInput } from '../vocabulary.ts'

const fleets: Fleet[] = []
afterEach(async () => {
  for (const fleet of fleets.splice(0)) await fleet.stop()
})

async function fleetWith(prober: Prober, servers: FleetOptions['servers'] = 6, policy: PolicyInput = {}, more: FleetOptions = {}) {
  const replace = () => ({ probers: [prober] })
  const fleet = await createFleet({ servers, connections: 2, policy: { mode: 'auto', ...policy }, ...more, replace })
  fleets.push(fleet)
  return fleet
}

const passed = ({ packets }: ProbeTarget): ProbeResult => ({ sent: packets, received: packets, rttMs: [20] })
const lost = ({ packets }: ProbeTarget): ProbeResult => ({ sent: packets, received: 0, rttMs: [] })
const counted = <T>(count: () => unknown, then: T): T => {
  count()
  return then
}
const never = () => new Promise<never>(() => {})
const verdicts = (fleet: Fleet) => fleet.pintail.status().servers.map(({ verdict }) => verdict.verdict)
const warnings = (fleet: Fleet) => fleet.events.flatMap((event) => (event.type === 'warning' ? event.data : []))
const moved = (fleet: Fleet) => fleet.events.filter(({ type }) => type === 'connection.moved').length
const all = (word: string, count = 6) => Array.from({ length: count }, () => word)

// ------------------------------------------------------------------------------------------------------------ batches

interface Batch {
  readonly at: number
  readonly ids: readonly string[]
  readonly packets: number
}

/** Takes many at once; `say` makes the results of a batch. */
function batching(say: (targets: readonly ProbeTarget[], ctx: CallContext) => AsyncIterable<unknown> = sayAll) {
  const batches: Batch[] = []
  let now = () => 0
  const prober: Prober = {
    name: 'batch',
    probe: () => Promise.reject(new Error('never called where probeMany is there')),
    probeMany(targets, ctx) {
      batches.push({ at: now(), ids: targets.map(({ serverId }) => serverId), packets: targets[0]?.packets ?? 0 })
      return say(targets, ctx) as ReturnType<NonNullable<Prober['probeMany']>>
    },
  }
  return { prober, batches, useClock: (fleet: Fleet) => (now = () => fleet.clock.now()) }
}

async function* sayAll(targets: readonly ProbeTarget[]) {
  for (const target of targets) yield { target, result: passed(target) }
}

test('where the prober takes many, checks that are due within 100 ms go out as one batch, each server once an interval', async () => {
  const { prober, batches } = batching()
  const fleet = await fleetWith(prober, 1000, { detect: { checkIntervalMs: 10_000, maxConcurrentProbes: 10_000 } })
  await fleet.advance(10_000)
  batches.length = 0
  await fleet.advance(50_000)
  const checks = batches.flatMap(({ ids }) => ids)
  expect(checks.length).toBeGreaterThan(4800)
  expect(checks.length).toBeLessThan(5200)
  expect(new Set(checks).size).toBe(1000)
  // 500 windows of 100 ms.
  expect(batches.length).toBeLessThanOrEqual(501)
  expect(new Set(verdicts(fleet))).toEqual(new Set(['up']))
})

test('results of a batch are judged as they come: the first does not wait for the last', async () => {
  const gate = Promise.withResolvers<void>()
  const { prober } = batching(async function* (targets) {
    for (const [index, target] of targets.entries()) {
      if (index > 0) await gate.promise
      yield { target, result: passed(target) }
    }
  })
  const fleet = await fleetWith(prober, 6, { detect: { checkIntervalMs: 100, maxConcurrentProbes: 100 } })
  await fleet.advance(400)
  const before = verdicts(fleet).filter((verdict) => verdict === 'up').length
  expect(before).toBeGreaterThan(0)
  expect(before).toBeLessThan(6)
  gate.resolve()
  await fleet.advance(400)
  expect(verdicts(fleet)).toEqual(all('up'))
})

test('a target without a result counts as not probed: after three nothing is known of it, and nobody is moved', async () => {
  let silent = false
  const { prober } = batching(async function* (targets) {
    for (const target of targets) if (!silent || target.serverId !== 's1') yield { target, result: passed(target) }
  })
  const fleet = await fleetWith(prober)
  await fleet.advance(10_000)
  expect(verdicts(fleet)).toEqual(all('up'))
  silent = true
  await fleet.advance(30_000)
  expect(verdicts(fleet)).toEqual(['unknown', ...all('up', 5)])
  expect(warnings(fleet)).toContainEqual(
    expect.objectContaining({ code: 'prober_unavailable', message: expect.stringContaining('no result') }),
  )
  expect(moved(fleet)).toBe(0)
})

test('a batch that throws half-way loses only what had no result', async () => {
  const { prober, batches } = batching(async function* (targets) {
    for (const [index, target] of targets.entries()) {
      if (index === Math.ceil(targets.length / 2)) throw new Error('broken pipe')
      yield { target, result: passed(target) }
    }
  })
  // One interval and one grain for all, so that they go together.
  const fleet = await fleetWith(prober, 10, { detect: { checkIntervalMs: 100, maxConcurrentProbes: 100, jitter: 0 } })
  await fleet.advance(2000)
  expect(batches.some(({ ids }) => ids.length > 1)).toBe(true)
  const up = verdicts(fleet).filter((verdict) => verdict === 'up').length
  expect(up).toBeGreaterThan(0)
  expect(verdicts(fleet)).not.toContain('down')
  expect(warnings(fleet)).toContainEqual(expect.objectContaining({ message: expect.stringContaining('broken pipe') }))
})

test.each<[string, (targets: readonly ProbeTarget[]) => AsyncIterable<unknown>]>([
  [
    'throws at once',
    () => {
      throw new Error('no such binary')
    },
  ],
  ['hands out nothing that can be read', () => undefined as never],
  ['ends at once', async function* () {}],
  [
    'hands out nonsense',
    async function* () {
      for (const item of [null, 5, {}, { target: null }, { target: { serverId: 's1' } }]) yield item
    },
  ],
  [
    'never leaves the turn',
    async function* () {
      while (true) yield { target: { serverId: 'nobody' }, result: {} }
    },
  ],
  [
    'repeats itself for ever',
    async function* (targets) {
      while (true) yield { target: targets[0], result: { sent: 1, received: 1, rttMs: [1] } }
    },
  ],
])('a batch that %s hurts nobody', async (_, say) => {
  const { prober } = batching(say)
  const fleet = await fleetWith(prober)
  await fleet.advance(60_000)
  expect(verdicts(fleet)).not.toContain('down')
  expect(warnings(fleet).some(({ code }) => code === 'prober_unavailable' || code === 'internal')).toBe(true)
  expect(moved(fleet)).toBe(0)
})

test('a batch that hangs is bounded and its servers are probed again; when the engine stops it is told', async () => {
  const signals: AbortSignal[] = []
  let hangs = true
  const { prober } = batching(async function* (targets, { signal }) {
    signals.push(signal)
    if (hangs) await never()
    yield* sayAll(targets)
  })
  const fleet = await fleetWith(prober)
  await fleet.advance(1000)
  expect(verdicts(fleet)).toEqual(all('unknown'))
  const hung = signals.length
  hangs = false
  await fleet.advance(20_000)
  expect(verdicts(fleet)).toEqual(all('up'))
  expect(signals.slice(0, hung).every(({ aborted }) => aborted)).toBe(true)
  hangs = true
  await fleet.advance(6000)
  await fleet.stop()
  expect(signals.at(-1)?.aborted).toBe(true)
  expect(fleet.clock.pending).toBe(0)
})

test('a suspect is confirmed at its own pace while large batches hang', async () => {
  let dead = ''
  let hangs = false
  const { prober, batches, useClock } = batching(async function* (targets) {
    if (hangs && targets.length > 40) await never()
    for (const target of targets) yield { target, result: target.serverId === dead ? lost(target) : passed(target) }
  })
  const fleet = await fleetWith(prober, 2000, { detect: { maxConcurrentProbes: 256 } })
  useClock(fleet)
  await fleet.advance(15_000)
  hangs = true
  await fleet.advance(6000)
  // The steady checks hang by now; a single packet lost anywhere is enough to begin the suspicion.
  hangs = false
  dead = 's7'
  await fleet.advance(6000)
  const suspectAt = fleet.events.find((event) => event.type === 'server.verdict_changed' && event.data.verdict === 'suspect')?.at ?? 0
  hangs = true
  await fleet.advance(20_000)
  const dense = batches.filter(({ at, ids }) => at > suspectAt && at < suspectAt + 7000 && ids.length <= 32 && ids.includes('s7'))
  expect(dense.length).toBeGreaterThanOrEqual(30)
  expect(fleet.events.some((event) => event.type === 'incident.opened' && event.data.serverId === 's7')).toBe(true)
})

// -------------------------------------------------------------------------------------------------------- concurrency

function counting(answerAfterMs: number, fleet: () => Fleet | undefined) {
  const seen = { out: 0, most: 0 }
  const prober: Prober = {
    name: 'counting',
    async probe(target) {
      seen.out++
      seen.most = Math.max(seen.most, seen.out)
      await new Promise<void>((resolve) => fleet()?.clock.setTimeout(resolve, answerAfterMs) ?? resolve())
      seen.out--
      return passed(target)
    },
  }
  return { prober, seen }
}

test('never more targets are out than maxConcurrentProbes, and a change of it holds without a restart', async () => {
  let fleet: Fleet | undefined
  const { prober, seen } = counting(400, () => fleet)
  fleet = await fleetWith(prober, 300, { detect: { checkIntervalMs: 1000, maxConcurrentProbes: 8 } })
  await fleet.advance(10_000)
  expect(seen.most).toBeLessThanOrEqual(8)
  expect(seen.most).toBeGreaterThanOrEqual(6)
  await fleet.pintail.policy.update({ detect: { maxConcurrentProbes: 64 } }, { ifVersion: fleet.pintail.policy.get().version })
  await fleet.advance(10_000)
  expect(seen.most).toBeLessThanOrEqual(64)
  expect(seen.most).toBeGreaterThanOrEqual(48)
  await fleet.pintail.policy.update({ detect: { maxConcurrentProbes: 2 } }, { ifVersion: fleet.pintail.policy.get().version })
  await fleet.advance(2000)
  seen.most = 0
  await fleet.advance(5000)
  expect(seen.most).toBe(2)
})

test('a prober that is too slow for the fleet has no queue that grows: each server waits at most once', async () => {
  const begun = new Map<string, number>()
  let fleet: Fleet | undefined
  const prober: Prober = {
    name: 'slow',
    async probe(target) {
      begun.set(target.serverId, (begun.get(target.serverId) ?? 0) + 1)
      await new Promise<void>((resolve) => fleet?.clock.setTimeout(resolve, 1000) ?? resolve())
      return passed(target)
    },
  }
  // 40 checks a second are possible, 1,000 are due.
  fleet = await fleetWith(prober, 1000, { detect: { checkIntervalMs: 1000, maxConcurrentProbes: 40 } })
  await fleet.advance(100_000)
  const counts = [...begun.values()]
  expect(begun.size).toBe(1000)
  // Fair: nobody is checked twice more than another.
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2)
})

// ------------------------------------------------------------------------------------------------------------- changes

test('a shorter interval holds at once, not after the old one', async () => {
  const times: number[] = []
  const prober: Prober = {
    name: 'plain',
    probe: async (target) => counted(() => target.serverId === 's1' && times.push(fleet.clock.now()), passed(target)),
  }
  const fleet: Fleet = await fleetWith(prober, 6, { detect: { checkIntervalMs: 3_600_000 } })
  await fleet.advance(10_000)
  const before = times.length
  await fleet.pintail.policy.update({ detect: { checkIntervalMs: 1000 } }, { ifVersion: fleet.pintail.policy.get().version })
  await fleet.advance(20_000)
  expect(times.length - before).toBeGreaterThanOrEqual(17)
})

test('canaries that are added or taken out count at once', async () => {
  const asked: string[] = []
  const prober: Prober = { name: 'plain', probe: async (target) => counted(() => asked.push(target.host), passed(target)) }
  const fleet = await fleetWith(prober, 6, { registryRefreshMs: 3_600_000 })
  await fleet.advance(10_000)
  await fleet.pintail.policy.update({ detect: { canaries: [{ host: '192.0.2.1' }] } }, { ifVersion: fleet.pintail.policy.get().version })
  await fleet.advance(1000)
  expect(asked).toContain('192.0.2.1')
  await fleet.pintail.policy.update({ detect: { canaries: [] } }, { ifVersion: fleet.pintail.policy.get().version })
  asked.length = 0
  await fleet.advance(20_000)
  expect(asked).not.toContain('192.0.2.1')
})

test('the first checks of a large fleet are spread over the interval: no second has twice its share', async () => {
  const seconds = new Map<number, number>()
  const prober: Prober = {
    name: 'plain',
    probe: async (target) => {
      const second = Math.floor((fleet?.clock.now() ?? 0) / 1000)
      seconds.set(second, (seconds.get(second) ?? 0) + 1)
      return passed(target)
    },
  }
  let fleet: Fleet | undefined
  fleet = await fleetWith(prober, 5000, { detect: { checkIntervalMs: 5000 } }, { connections: 0 })
  await fleet.advance(15_000)
  expect(verdicts(fleet).every((verdict) => verdict === 'up')).toBe(true)
  expect(Math.max(...seconds.values())).toBeLessThan(1500)
})

// ------------------------------------------------------------------------------------------------------------- hostile

test.each<[string, Prober['probe']]>([
  [
    'throws at once',
    () => {
      throw new Error('boom')
    },
  ],
  ['rejects', () => Promise.reject(new Error('boom'))],
  ['rejects with nothing', () => Promise.reject(undefined)],
  ['hangs for ever and ignores its signal', never],
  ['resolves with nothing', async () => undefined as never],
  ['is no promise', () => ({ sent: 1, received: 1, rttMs: [1] }) as never],
  ['has negative times', async () => ({ sent: 1, received: 1, rttMs: [-5] })],
  ['has times that are no number', async () => ({ sent: 1, received: 1, rttMs: [Number.NaN] })],
  ['has more answers than packets', async () => ({ sent: 1, received: 7, rttMs: [] })],
  ['has sent nothing', async () => ({ sent: 0, received: 0, rttMs: [] })],
  [
    'has a getter that throws',
    async () => ({
      sent: 1,
      received: 1,
      get rttMs(): number[] {
        throw new Error('boom')
      },
    }),
  ],
  ['knows no such host', () => Promise.reject(new PintailError('unknown_host', 'no such name'))],
])('a prober that %s makes no server down and moves nobody', async (_, probe) => {
  const fleet = await fleetWith({ name: 'hostile', probe })
  await fleet.advance(120_000)
  expect(verdicts(fleet)).not.toContain('down')
  expect(verdicts(fleet)).not.toContain('suspect')
  expect(moved(fleet)).toBe(0)
  await fleet.stop()
  expect(fleet.clock.pending).toBe(0)
})

test('results that come after the bound or after the stop change nothing', async () => {
  const late: (() => void)[] = []
  let slow = false
  const prober: Prober = {
    name: 'late',
    probe: (target) => (slow ? new Promise((resolve) => late.push(() => resolve(lost(target)))) : Promise.resolve(passed(target))),
  }
  const fleet = await fleetWith(prober)
  await fleet.advance(10_000)
  slow = true
  await fleet.advance(40_000)
  slow = false
  await fleet.advance(10_000)
  expect(late.length).toBeGreaterThan(6)
  for (const settle of late.splice(0)) settle()
  await fleet.advance(1)
  expect(verdicts(fleet)).toEqual(all('up'))
  slow = true
  await fleet.advance(6000)
  await fleet.stop()
  const told = fleet.events.length
  for (const settle of late) settle()
  await fleet.clock.settle()
  expect(fleet.events.length).toBe(told)
})

test('a name that does not resolve is told once, and the others are probed on', async () => {
  const prober: Prober = {
    name: 'dns',
    probe: async (target) => {
      if (target.serverId === 's1') throw new PintailError('unknown_host', 'no such name')
      return passed(target)
    },
  }
  const fleet = await fleetWith(prober)
  await fleet.advance(120_000)
  expect(verdicts(fleet)).toEqual(['unknown', ...all('up', 5)])
  expect(warnings(fleet).filter(({ code }) => code === 'unknown_host')).toHaveLength(1)
})

test('packets that were out while a server changed its address tell nothing of the new one', async () => {
  const out: ((result: 'lost') => void)[] = []
  let holds = false
  const prober: Prober = {
    name: 'held',
    probe: (target) =>
      holds && target.serverId === 's1' && target.host === '10.0.0.0'
        ? new Promise((resolve) => out.push(() => resolve(lost(target))))
        : Promise.resolve(passed(target)),
  }
  const fleet = await fleetWith(prober, 6, { detect: { confirm: null, migrationThreshold: 1 }, registryRefreshMs: 1000 })
  await fleet.advance(10_000)
  holds = true
  await fleet.advance(6000)
  expect(out).toHaveLength(1)
  fleet.registry.putServer({ id: 's1', host: '10.9.9.9', capacity: 100 })
  await fleet.advance(1500)
  out[0]?.('lost')
  await fleet.advance(10_000)
  expect(verdicts(fleet)).toEqual(all('up'))
  expect(fleet.events.some(({ type }) => type === 'incident.opened')).toBe(false)
})

test('a clock that jumps by a day moves nobody, and checks go on', async () => {
  let checks = 0
  const prober: Prober = { name: 'plain', probe: async (target) => counted(() => checks++, passed(target)) }
  let jump = 0
  const fleet = await createFleet({
    servers: 500,
    connections: 1,
    replace: ({ clock }) => ({ probers: [prober], clock: { ...clock, now: () => clock.now() + jump } }),
  })
  fleets.push(fleet)
  await fleet.advance(10_000)
  jump = 86_400_000
  checks = 0
  await fleet.advance(60_000)
  expect(checks).toBeGreaterThan(4000)
  expect(checks).toBeLessThan(9000)
  expect(new Set(verdicts(fleet))).toEqual(new Set(['up']))
  expect(moved(fleet)).toBe(0)
})

test('a whole fleet at one address is a fleet like any other: one that dies is evacuated', async () => {
  let dead = ''
  const prober: Prober = { name: 'plain', probe: async (target) => (target.serverId === dead ? lost(target) : passed(target)) }
  const rows = Array.from({ length: 200 }, (_, index) => ({ id: `s${index + 1}`, host: '192.0.2.7', port: 10_000 + index, capacity: 100 }))
  const fleet = await fleetWith(prober, rows, {}, { connections: { s3: [{ id: 'a' }, { id: 'b' }] } })
  await fleet.advance(10_000)
  dead = 's3'
  await fleet.advance(40_000)
  expect(fleet.registry.on('s3')).toEqual([])
  expect(moved(fleet)).toBe(2)
})

test('hosts of ten kilobytes are skipped and told, the rest is watched', async () => {
  const prober: Prober = { name: 'plain', probe: async (target) => passed(target) }
  const rows = [{ id: 'bad', host: 'a'.repeat(10_240) }, ...[1, 2, 3].map((index) => ({ id: `s${index}`, host: `10.0.0.${index}` }))]
  const fleet = await fleetWith(prober, rows)
  await fleet.advance(10_000)
  expect(fleet.pintail.status().servers.map(({ serverId }) => serverId)).toEqual(['s1', 's2', 's3'])
  const told = warnings(fleet).filter(({ code }) => code === 'invalid_row')
  expect(told).toHaveLength(1)
  expect(told[0]?.message.length).toBeLessThan(400)
})

test('a prober that loses its network with a large fleet moves nobody, and its checks stay bounded', async () => {
  let isLost = false
  let checks = 0
  const prober: Prober = { name: 'plain', probe: async (target) => counted(() => checks++, isLost ? lost(target) : passed(target)) }
  const fleet = await fleetWith(prober, 3000, {}, { connections: 0 })
  await fleet.advance(15_000)
  isLost = true
  checks = 0
  await fleet.advance(5000)
  isLost = false
  await fleet.advance(20_000)
  expect(new Set(verdicts(fleet))).toEqual(new Set(['up']))
  expect(moved(fleet)).toBe(0)
  expect(checks).toBeGreaterThan(3000)
})
