// The faults of the lab do what they say, alone and together, and nothing is left of them.
import { readdir } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { lookUntil, patient, patiently } from './patient.ts'
import type { Check, Outcome } from './probe.ts'
import { makeWorld, type World } from './world.ts'

const port = 443
let world: World
beforeAll(async () => {
  world = await makeWorld()
  await world.listenTcp(port)
})
afterEach(() => world.faults.heal())
afterAll(() => world?.destroy())

const from = (place: string, ...checks: Check[]): Promise<Outcome[]> =>
  world.json(place, 'lab/probe.ts', ...checks.map((one) => JSON.stringify(one)))
const probe = (...checks: Check[]) => from('prober', ...checks)
const icmp = (host: string, more: Partial<Check> = {}): Check => ({ prober: 'icmp', host, ...more })
const tcp = (host: string, more: Partial<Check> = {}): Check => ({ prober: 'tcp', host, port, ...more })
const times = (outcome: Outcome | undefined): readonly number[] => (outcome && 'rttMs' in outcome ? outcome.rttMs : [])

/** Packets are delayed by a program, and ping waits for its last ones no longer than for the others: where that program stood still it asks again. */
const answered = (...checks: Check[]): Promise<Outcome[]> =>
  lookUntil(
    () => probe(...checks),
    (all) => all.every((one) => times(one).length === 3),
  )

/** What a delay comes to at least: timers go by whole milliseconds. */
const about = (ms: number) => ms - 2

const alive = { sent: 3, received: 3, failure: null }
const dead = { sent: 3, received: 0 }

describe('loss', () => {
  test('half is exactly half, for each host on its own', async () => {
    const hosts = [world.host(1), world.host(2), world.host6(3)]
    await world.faults.half(hosts)
    expect(await probe(icmp(world.host(4), { ...patient, packets: 20 }))).toMatchObject([{ sent: 20, received: 20 }])
    // The last answer may be there when ping has no time left to read it.
    const counts = await lookUntil(
      async () => (await probe(...hosts.map((host) => icmp(host, { ...patient, packets: 20 })))).map((one) => times(one).length),
      (all) => Math.min(...all) === 10,
      (all) => expect(Math.max(...all)).toBeLessThanOrEqual(10),
    )
    expect(counts).toEqual(hosts.map(() => 10))
  })

  test('is by chance, in the given share, and can be changed', async () => {
    const hosts = Array.from({ length: 20 }, (_, index) => world.host(100 + index))
    await world.faults.loss(hosts, 90)
    await world.faults.loss(hosts, 20)
    const outcomes = await probe(...hosts.map((host) => icmp(host, { ...patient, packets: 10 })))
    const lost = outcomes.reduce((sum, outcome) => sum + 10 - times(outcome).length, 0)
    // Of 200 packets 40 are lost on average, with a standard deviation of 5.7: five of them on either side.
    expect(lost).toBeGreaterThan(11)
    expect(lost).toBeLessThan(69)
  })

  test('a share that is none is refused', async () => {
    for (const percent of [0, 100, 1.5, Number.NaN]) await expect(world.faults.loss([world.host(5)], percent)).rejects.toThrow(RangeError)
  })
})

describe('delay', () => {
  test('each packet takes so much longer, over IPv4 and IPv6, and another host does not', async () => {
    const [host, host6, other] = [world.host(10), world.host6(10), world.host(11)]
    await world.faults.delay([host, host6], 400)
    const more = { ...patient, fastestMs: 800 }
    const outcomes = await answered(
      ...[icmp(host, more), tcp(host, more), icmp(host6, more), tcp(host6, more)],
      icmp(other, { ...patient, fastestMs: 400 }),
    )
    for (const outcome of outcomes) expect(outcome).toMatchObject(alive)
    for (const late of outcomes.slice(0, 4)) for (const ms of times(late)) expect(ms).toBeGreaterThanOrEqual(about(400))
    // Not once there and once back.
    for (const late of outcomes.slice(0, 4)) expect(Math.min(...times(late))).toBeLessThan(800)
    expect(Math.min(...times(outcomes[4]))).toBeLessThan(400)
  })

  test('two delays at once are two, and a host has the last that was given', async () => {
    const [one, two] = [world.host(12), world.host(13)]
    await world.faults.delay([one, two], 100)
    await world.faults.delay([two], 250)
    const [first, second] = await answered(icmp(one, { ...patient, fastestMs: 250 }), icmp(two, patient))
    expect([first, second]).toMatchObject([alive, alive])
    expect(Math.min(...times(first))).toBeGreaterThanOrEqual(about(100))
    expect(Math.min(...times(first))).toBeLessThan(250)
    expect(Math.min(...times(second))).toBeGreaterThanOrEqual(about(250))
  })

  test('with half of the packets lost as well, half of them come, and late', async () => {
    const host = world.host(14)
    await world.faults.delay([host], 150)
    await world.faults.half([host])
    const [outcome] = await lookUntil(
      () => probe(icmp(host, { ...patient, packets: 10 })),
      ([one]) => times(one).length >= 5,
      ([one]) => {
        for (const ms of times(one)) expect(ms).toBeGreaterThanOrEqual(about(150))
      },
    )
    expect(outcome).toMatchObject({ sent: 10, received: 5 })
  })
})

test('a flapping host is dead first, then alive and dead by turns, until it is healed', async () => {
  const [slow, host] = [world.host(19), world.host(20)]
  await world.faults.flap(slow, 1, 120_000)
  expect(await probe(icmp(slow, { packets: 2, timeoutMs: 150 }))).toMatchObject([{ sent: 2, received: 0 }])
  await world.faults.heal([slow])
  expect(await probe(icmp(slow, patient))).toMatchObject([alive])
  await world.faults.flap(host, 400, 400)
  const isAlive = async () => times((await probe(icmp(host, { packets: 1, timeoutMs: 100 })))[0]).length > 0
  for (const wanted of [false, true, false, true]) await expect.poll(isAlive, { ...patiently, interval: 10 }).toBe(wanted)
  // An outage of the same host is another fault, and goes on when the flapping turns to alive.
  await world.faults.outage([host])
  expect(await probe(icmp(host, { packets: 6, timeoutMs: 150 }))).toMatchObject([{ sent: 6, received: 0 }])
  await world.faults.heal([host])
  expect(await probe(icmp(host, { ...patient, packets: 8 }))).toMatchObject([{ sent: 8, received: 8 }])
})

describe('vantages', () => {
  beforeAll(async () => {
    await world.addVantage('west')
    await world.addVantage('east')
  })
  afterEach(async () => {
    for (const vantage of ['prober', 'west', 'east']) await world.link(vantage, 'up')
  })
  /** What each vantage sees of these hosts, in this order: prober, west, east. One that hears nothing does not wait long. */
  const seen = (deaf: 'west' | 'east' | null, ...hosts: string[]) =>
    Promise.all(['prober', 'west', 'east'].map((place) => from(place, ...hosts.map((host) => icmp(host, place === deaf ? {} : patient)))))
  const both = (outcome: object) => [outcome, outcome]

  test('all of them reach all servers, over IPv4 and IPv6, and one from which they are blocked does not', async () => {
    const hosts = [world.host(31), world.host6(31)]
    await world.faults.block('west', hosts)
    expect(await seen('west', ...hosts)).toMatchObject([both(alive), both(dead), both(alive)])
    await world.faults.heal(hosts)
    expect(await seen(null, ...hosts)).toMatchObject([both(alive), both(alive), both(alive)])
  })

  test('a way that is broken in one direction only is silence too', async () => {
    const host = world.host(32)
    for (const rule of [
      'add table inet own',
      'add chain inet own in { type filter hook input priority 0; }',
      `add rule inet own in ip daddr ${host} counter`,
    ])
      await world.exec('hosts', 'nft', rule)
    await world.faults.mute('east', [host])
    expect((await from('east', icmp(host)))[0]).toMatchObject({ ...dead, failure: { kind: 'no_reply' } })
    // A prober that was held up has asked again.
    const arrived = Number(/packets (\d+) /.exec(await world.exec('hosts', 'nft', 'list table inet own'))?.[1])
    expect(arrived).toBeGreaterThanOrEqual(3)
    await world.exec('hosts', 'nft', 'delete table inet own')
    expect(await seen('east', host)).toMatchObject([[alive], [alive], [dead]])
  })

  test("one vantage's own link, down or cut, leaves the others alone", async () => {
    await world.link('west', 'down')
    await world.link('east', 'cut')
    expect(await seen('east', world.host(33))).toMatchObject([[alive], [{ error: 'prober_unavailable' }], [dead]])
    for (const vantage of ['west', 'east']) await world.link(vantage, 'up')
    expect(await seen(null, world.host(33))).toMatchObject([[alive], [alive], [alive]])
  })

  test('a place that is not there is refused, and so is a name that is taken', async () => {
    await expect(world.exec('nowhere', 'true')).rejects.toThrow(RangeError)
    for (const name of ['west', 'router', 'A b', '']) await expect(world.addVantage(name)).rejects.toThrow(RangeError)
  })
})

test('all faults of a host at once are over when it is healed', async () => {
  const host = world.host(40)
  await world.faults.outage([host])
  await world.faults.loss([host], 30)
  await world.faults.delay([host], 100)
  await world.faults.flap(host, 50, 50)
  await world.faults.dropTcp([host], port)
  await world.faults.dropUdp([host], 53)
  await world.faults.unreachable([host])
  await world.faults.block('prober', [host])
  await world.faults.mute('prober', [host])
  expect(await probe(icmp(host))).toMatchObject([dead])
  await world.faults.heal()
  expect(await probe(icmp(host, { ...patient, packets: 10 }), tcp(host, patient))).toMatchObject([{ sent: 10, received: 10 }, alive])
  const left = await world.exec('router', 'nft', '-j', 'list', 'table', 'inet', 'pintail')
  const objects: { set?: { elem?: unknown }; map?: { elem?: unknown } }[] = JSON.parse(left).nftables
  expect(objects.filter(({ set, map }) => set?.elem || map?.elem)).toEqual([])
})

test('a world with vantages, delays and a flapping host leaves nothing behind', async () => {
  const other = await makeWorld()
  await other.addVantage('west')
  await other.faults.delay([other.host(1)], 100)
  await other.faults.flap(other.host(2), 20, 20)
  const names = Object.values(other.namespaces)
  expect(names).toHaveLength(4)
  await other.destroy()
  expect((await readdir('/run/netns')).filter((name) => names.includes(name))).toEqual([])
})
