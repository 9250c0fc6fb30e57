import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { firstLine } from './children.ts'
import { lookUntil, patient, patiently } from './patient.ts'
import type { Check, Outcome } from './probe.ts'
import { makeWorld, type World } from './world.ts'

const vpnPort = 443
let world: World
beforeAll(async () => {
  world = await makeWorld()
  await world.listenTcp(vpnPort)
})
afterEach(async () => {
  await world.faults.heal()
  await world.proberLink('up')
})
afterAll(() => world?.destroy())

/** The checks run at the same time, in one Node inside the prober's namespace. */
const probe = (...checks: Check[]): Promise<Outcome[]> => world.json('prober', 'lab/probe.ts', ...checks.map((one) => JSON.stringify(one)))
const icmp = (host: string, more: Partial<Check> = {}): Check => ({ prober: 'icmp', host, ...more })
const tcp = (host: string, more: Partial<Check> = {}): Check => ({ prober: 'tcp', host, port: vpnPort, ...more })

const alive = { sent: 3, received: 3, failure: null }
const failed = (layer: string, kind: string) => ({ sent: 3, received: 0, rttMs: [], failure: { layer, kind } })
const times = (outcome: Outcome | undefined): readonly number[] => (outcome && 'rttMs' in outcome ? outcome.rttMs : [])
const notTried = { error: 'prober_unavailable', remedy: expect.stringContaining('check its own network') }

describe('servers', () => {
  test('any of 65,000 servers answers both probers, over IPv4 and IPv6, with plausible times', async () => {
    const hosts = [world.host(1), world.host(256), world.host(65_534), world.host6(1), world.host6(65_534)]
    const quick = { ...patient, fastestMs: 200 }
    const outcomes = await probe(...hosts.flatMap((host) => [icmp(host, quick), tcp(host, quick)]))
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject(alive)
      expect(times(outcome)).toHaveLength(3)
      for (const ms of times(outcome)) expect(ms).toBeGreaterThan(0)
      // One may be late on a busy machine.
      expect(Math.min(...times(outcome))).toBeLessThan(quick.fastestMs)
    }
  })

  test('an outage is silence to both probers, within the time that the packets have', async () => {
    const hosts = [world.host(2), world.host6(2)]
    await world.faults.outage(hosts)
    // Three packets 200 ms apart, 500 ms for the last one, 200 ms for the process.
    const within = { withinMs: 1600 }
    const outcomes = await probe(...hosts.flatMap((host) => [icmp(host, within), tcp(host, within)]), icmp(world.host(3), patient))
    expect(outcomes).toMatchObject([
      failed('icmp', 'no_reply'),
      failed('tcp', 'no_reply'),
      failed('icmp', 'no_reply'),
      failed('tcp', 'no_reply'),
      alive,
    ])
    for (const { tookMs } of outcomes.slice(0, 4)) expect(tookMs).toBeLessThan(within.withinMs)
  })

  test('an outage that heals is over for both probers', async () => {
    const host = world.host(4)
    // What was seen only when its time was over shows nothing.
    for (let isInTime = false; !isInTime; ) {
      const begun = performance.now()
      await world.faults.outage([host], 5000)
      const outcomes = await probe(icmp(host), tcp(host))
      isInTime = performance.now() - begun < 5000
      if (isInTime) expect(outcomes).toMatchObject([failed('icmp', 'no_reply'), failed('tcp', 'no_reply')])
    }
    await expect.poll(() => probe(icmp(host), tcp(host)), patiently).toMatchObject([alive, alive])
  })

  test('a flapping server is dead and alive by turns', async () => {
    const host = world.host(5)
    for (let turn = 0; turn < 3; turn += 1) {
      await world.faults.outage([host])
      expect(await probe(icmp(host), tcp(host))).toMatchObject([failed('icmp', 'no_reply'), failed('tcp', 'no_reply')])
      await world.faults.heal([host])
      expect(await probe(icmp(host, patient), tcp(host, patient))).toMatchObject([alive, alive])
    }
  })

  test('half of the packets lost is seen as loss, and each reply keeps its own time', async () => {
    const host = world.host(6)
    await world.faults.loss([host], 50)
    const [outcome] = await probe(icmp(host, { ...patient, packets: 40 }))
    if (!outcome || 'error' in outcome) throw new Error(`no result: ${outcome?.message}`)
    expect(outcome).toMatchObject({ sent: 40, failure: null })
    // More than five standard deviations of 40 coin tosses on either side.
    expect(outcome.received).toBeGreaterThan(3)
    expect(outcome.received).toBeLessThan(37)
    expect(outcome.rttMs).toHaveLength(outcome.received)
  })

  test('a router that says "unreachable" is told from silence, at once', async () => {
    const host = world.host(7)
    await world.faults.unreachable([host])
    const atOnce = { ...patient, withinMs: 1000 }
    const outcomes = await probe(icmp(host, atOnce), tcp(host, atOnce))
    expect(outcomes).toMatchObject([failed('icmp', 'unreachable'), failed('tcp', 'unreachable')])
    for (const { tookMs } of outcomes) expect(tookMs).toBeLessThan(atOnce.withinMs)
  })
})

describe('layers', () => {
  test('a VPN whose port is silent while ping answers is found by allOf, which names the layer', async () => {
    const host = world.host(10)
    await world.faults.dropTcp([host], vpnPort)
    // The members share a time-out, within which ping may not have been let run.
    const outcomes = await lookUntil(
      () => probe(icmp(host, patient), tcp(host), tcp(host, { prober: 'allOf' }), tcp(host, { prober: 'anyOf' })),
      ([, , all, any]) => all !== undefined && 'failure' in all && all.failure?.layer === 'tcp' && times(any).length === 3,
      ([, single, all]) => expect([single, all].map((one) => times(one).length)).toEqual([0, 0]),
    )
    expect(outcomes).toMatchObject([
      alive,
      failed('tcp', 'no_reply'),
      { ...failed('tcp', 'no_reply'), failure: { layer: 'tcp', detail: 'icmp ok, tcp no reply' } },
      alive,
    ])
  })

  test('a VPN that is not running while ping answers is refused, not silent', async () => {
    const host = world.host(11)
    const refused = { ...patient, port: 444 }
    const [single, all] = await probe(tcp(host, { ...refused, withinMs: 500 }), tcp(host, { ...refused, prober: 'allOf' }))
    expect(single).toMatchObject(failed('tcp', 'refused'))
    expect(single?.tookMs).toBeLessThan(500)
    expect(all).toMatchObject({ failure: { layer: 'tcp', kind: 'refused', detail: 'icmp ok, tcp refused' } })
  })

  test('a dead UDP port is seen by neither: it takes a prober that speaks the protocol', async () => {
    const host = world.host(12)
    const port = 51_820
    const echo = `const one = require('node:dgram').createSocket('udp4')
      one.on('message', (text, from) => one.send(text, from.port, from.address))
      one.bind(${port}, () => console.log('ready'))`
    const ask = (ms: number) => `const one = require('node:dgram').createSocket('udp4')
      const say = (word) => { console.log(word); one.close(); clearTimeout(timer) }
      const timer = setTimeout(say, ${ms}, 'silent')
      one.on('message', () => say('answers'))
      one.send('hello', ${port}, '${host}')`
    const server = world.spawn('hosts', process.execPath, '-e', echo)
    await firstLine(server)
    const udp = async (ms: number) => (await world.exec('prober', process.execPath, '-e', ask(ms))).trim()
    expect(await udp(60_000)).toBe('answers')
    await world.faults.dropUdp([host], port)
    expect(await udp(500)).toBe('silent')
    expect(await probe(icmp(host, patient), tcp(host, patient))).toMatchObject([alive, alive])
    server.kill('SIGKILL')
  })
})

describe("the prober's own trouble", () => {
  test('without an interface nothing could be tried: no server is judged', async () => {
    await world.proberLink('down')
    const hosts = [world.host(20), world.host6(20)]
    const outcomes = await probe(...hosts.flatMap((host) => [icmp(host), tcp(host), tcp(host, { prober: 'allOf' })]))
    for (const outcome of outcomes) expect(outcome).toMatchObject(notTried)
    await world.proberLink('up')
    expect(await probe(...hosts.flatMap((host) => [icmp(host, patient), tcp(host, patient)]))).toMatchObject([alive, alive, alive, alive])
  })

  // The probers cannot know it: everything is silent, wherever the cable is cut. It takes canaries and controls.
  test('a pulled cable looks like an outage of everything', async () => {
    await world.proberLink('cut')
    const outcomes = await probe(icmp(world.host(21)), tcp(world.host(21)), icmp(world.host(22)), tcp(world.host(22)))
    for (const outcome of outcomes) expect(outcome).toMatchObject({ received: 0 })
    await world.proberLink('up')
    expect(await probe(icmp(world.host(21), patient), tcp(world.host(22), patient))).toMatchObject([alive, alive])
  })

  test("a packet that the prober's own firewall refuses is no evidence", async () => {
    const host = world.host(23)
    const rules = ['add table inet own', 'add chain inet own out { type filter hook output priority 0; }']
    for (const rule of [...rules, `add rule inet own out ip daddr ${host} reject with icmp type admin-prohibited`]) {
      await world.exec('prober', 'nft', rule)
    }
    expect(await probe(icmp(host))).toMatchObject([notTried])
    await world.exec('prober', 'nft', 'delete table inet own')
    expect(await probe(icmp(host, patient))).toMatchObject([alive])
  })
})

describe('the lab cleans up', () => {
  const namespaces = async () => (await readdir('/run/netns')).filter((name) => name.startsWith('pintail-'))

  test('two worlds at once do not see each other, and destroy twice is harmless', async () => {
    const other = await makeWorld()
    await other.faults.outage([other.host(1)])
    expect(await probe(icmp(world.host(1), patient))).toMatchObject([alive])
    expect(await namespaces()).toEqual(expect.arrayContaining(Object.values(other.namespaces)))
    await other.destroy()
    await other.destroy()
    expect((await namespaces()).filter((name) => Object.values(other.namespaces).includes(name))).toEqual([])
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('nothing is left of a world whose maker got %s', async (signal) => {
    const script = `
      import { makeWorld } from ${JSON.stringify(join(import.meta.dirname, 'world.ts'))}
      const world = await makeWorld()
      await world.listenTcp(443)
      world.spawn('prober', 'sleep', '1000')
      console.log(JSON.stringify(world.namespaces))`
    const args = ['--input-type=module-typescript', '-e', script]
    const maker = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const names: string[] = Object.values(JSON.parse(await firstLine(maker)))
    expect(await namespaces()).toEqual(expect.arrayContaining(names))
    maker.kill(signal)
    await expect.poll(async () => (await namespaces()).filter((name) => names.includes(name)), patiently).toEqual([])
  })
})
