// fping() on real packets and real faults: what the lab's tests of icmp() ask, and what only large fleets have.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Checks, Outcome } from './fpingProbe.ts'
import { lookUntil, patient, patiently } from './patient.ts'
import type { Contract } from './proberContract.ts'
import { makeWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await makeWorld()
})
afterEach(async () => {
  await world.faults.heal()
  await world.proberLink('up')
})
afterAll(() => world?.destroy())

const probe = (hosts: readonly string[], more: Partial<Checks> = {}): Promise<Outcome[]> =>
  world.json('prober', 'lab/fpingProbe.ts', JSON.stringify({ hosts, ...more }))
const answering = (...hosts: string[]) => ({ patience: { hosts, ...patient } })
const times = (outcome: Outcome | undefined): readonly number[] => (outcome && 'rttMs' in outcome ? outcome.rttMs : [])
const alive = { sent: 3, received: 3, failure: null }
const failed = (kind: string) => ({ sent: 3, received: 0, rttMs: [], failure: { layer: 'icmp', kind } })
const notTried = { error: 'prober_unavailable', remedy: expect.stringContaining('check its own network') }

test('any of 65,000 servers answers, over IPv4 and IPv6, with plausible times', async () => {
  const hosts = [world.host(1), world.host(256), world.host(65_534), world.host6(1), world.host6(65_534)]
  // Some may be late on a busy machine, and not always.
  const outcomes = await lookUntil(
    () => probe(hosts, patient),
    (all) => Math.max(...all.flatMap(times)) < 200,
    (all) => expect(all).toMatchObject(hosts.map(() => alive)),
  )
  for (const outcome of outcomes) {
    expect(times(outcome)).toHaveLength(3)
    for (const ms of times(outcome)) expect(ms > 0 && ms < 200).toBe(true)
  }
})

test('an outage is silence, and those that answer beside it are told before', async () => {
  const dead = [world.host(2), world.host6(2)]
  await world.faults.outage(dead)
  // They share a process and a time-out, which is over when that process has stood still for so long.
  const outcomes = await lookUntil(
    () => probe([...dead, world.host(3), world.host6(3)]),
    ([, , four, six]) => times(four).length + times(six).length === 6,
    (all) => expect(all.slice(0, 2).flatMap(times)).toEqual([]),
  )
  expect(outcomes).toMatchObject([failed('no_reply'), failed('no_reply'), alive, alive])
  const [slow, , fast] = outcomes.map((one) => (one && 'tookMs' in one ? one.tookMs : Number.NaN))
  expect(fast).toBeLessThan(slow as number)
})

test('an outage that heals is over', async () => {
  const host = world.host(4)
  // What was seen only when its time was over shows nothing.
  for (let isInTime = false; !isInTime; ) {
    const begun = performance.now()
    await world.faults.outage([host], 3000)
    const outcomes = await probe([host])
    isInTime = performance.now() - begun < 3000
    if (isInTime) expect(outcomes).toMatchObject([failed('no_reply')])
  }
  await expect.poll(() => probe([host]), patiently).toMatchObject([alive])
})

test('half of the packets lost is seen as loss, and each reply keeps its own time', async () => {
  const host = world.host(6)
  await world.faults.loss([host], 50)
  const [outcome] = await probe([host], { packets: 40 })
  if (!outcome || 'error' in outcome) throw new Error('no result')
  expect(outcome).toMatchObject({ sent: 40, failure: null })
  // More than five standard deviations of 40 coin tosses on either side.
  expect(outcome.received).toBeGreaterThan(3)
  expect(outcome.received).toBeLessThan(37)
  expect(outcome.rttMs).toHaveLength(outcome.received)
})

test('a router that says "unreachable" is told from silence', async () => {
  await world.faults.unreachable([world.host(7)])
  expect(await probe([world.host(7), world.host(8)], answering(world.host(8)))).toMatchObject([failed('unreachable'), alive])
})

test('without an interface nothing could be tried: no server is judged', async () => {
  await world.proberLink('down')
  const hosts = [world.host(20), world.host6(20)]
  for (const outcome of await probe(hosts)) expect(outcome).toMatchObject(notTried)
  await expect(probe(hosts, { many: true })).rejects.toThrow('prober_unavailable')
  await world.proberLink('up')
  expect(await probe(hosts, patient)).toMatchObject([alive, alive])
})

// The prober cannot know it: everything is silent, wherever the cable is cut. It takes canaries and controls.
test('a pulled cable looks like an outage of everything', async () => {
  await world.proberLink('cut')
  for (const outcome of await probe([world.host(21), world.host(22)])) expect(outcome).toMatchObject({ received: 0 })
  await world.proberLink('up')
  expect(await probe([world.host(21)], patient)).toMatchObject([alive])
})

test("a packet that the prober's own firewall refuses is no evidence", async () => {
  const host = world.host(23)
  const rules = ['add table inet own', 'add chain inet own out { type filter hook output priority 0; }']
  for (const rule of [...rules, `add rule inet own out ip daddr ${host} reject with icmp type admin-prohibited`])
    await world.exec('prober', 'nft', rule)
  const outcomes = await probe([host, world.host(24)], answering(world.host(24)))
  await world.exec('prober', 'nft', 'delete table inet own')
  expect(outcomes).toMatchObject([notTried, alive])
})

test('five thousand servers in one call of probeMany: those that are dead are named, and only they', async () => {
  const numbers = Array.from({ length: 5000 }, (_, index) => index + 100)
  const hosts = numbers.map((n) => world.host(n))
  const dead = hosts.filter((_, index) => index % 50 === 7)
  await world.faults.outage(dead)
  const silentIn = (outcomes: readonly Outcome[]) =>
    hosts.filter((_, index) => {
      const outcome = outcomes[index]
      return outcome && 'received' in outcome && outcome.received === 0
    })
  // They share a time-out, which is over when fping has stood still for so long.
  const outcomes = await lookUntil(
    () => probe(hosts, { packets: 1, timeoutMs: 1000, many: true }),
    (all) => silentIn(all).length === dead.length,
    (all) => expect(hosts.filter((host, index) => dead.includes(host) && times(all[index] ?? null).length > 0)).toEqual([]),
  )
  expect(outcomes.filter((one) => one === null)).toEqual([])
  expect(silentIn(outcomes)).toEqual(dead)
})

for (const prober of ['icmp', 'fping'] as const)
  test(`${prober} keeps the contract of probers toward a server that is silent`, async () => {
    await world.faults.outage([world.host(31)])
    const contract: Contract = { prober, answering: world.host(30), silent: world.host(31) }
    const { kept, broken } = await world.json<{ kept: string[]; broken: string[] }>(
      'prober',
      'lab/proberContract.ts',
      JSON.stringify(contract),
    )
    expect(broken).toEqual([])
    expect(kept.filter((name) => /silent|waits/.test(name)).length).toBeGreaterThanOrEqual(2)
  })
