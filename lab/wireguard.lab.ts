// The WireGuard prober against wireguard-go: what it sees of servers that live, die and do not know it, and that users
// of a server notice nothing of it.
import { existsSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { lookUntil, patient } from './patient.ts'
import type { Check, Outcome } from './probe.ts'
import { type Interface, newKeys, startWireguard } from './wireguard.ts'
import { startPinging } from './wireguardFleet.ts'
import { makeWorld, type World } from './world.ts'

const port = 51_820
const probeKeys = newKeys()
let world: World
let server: Interface
beforeAll(async () => {
  world = await makeWorld()
  server = await startWireguard(world, { place: 'hosts', port, address: '10.77.0.1/24', peers: [{ publicKey: probeKeys.publicKey }] })
})
afterEach(() => world.faults.heal())
afterAll(() => world?.destroy())

const probe = (...checks: Check[]): Promise<Outcome[]> => world.json('prober', 'lab/probe.ts', ...checks.map((one) => JSON.stringify(one)))
const wireguard = (host: string, more: Partial<Check> = {}): Check => ({
  ...{ prober: 'wireguard', host, port },
  keys: { privateKey: probeKeys.privateKey, publicKeys: { [host]: server.keys.publicKey } },
  ...more,
})

const alive = { sent: 3, received: 3, failure: null }
const failed = (kind: string) => ({ sent: 3, received: 0, rttMs: [], failure: { layer: 'handshake', kind } })
const says = (outcome: Outcome | undefined, detail: string) =>
  outcome && 'failure' in outcome ? outcome.failure?.detail === detail : false
const times = (outcome: Outcome | undefined): readonly number[] => (outcome && 'rttMs' in outcome ? outcome.rttMs : [])

/**
 * WireGuard answers a peer once in 20 ms: of initiations that a machine has held up and delivers at once all but the first are lost. They are
 * asked again until each has had its answer.
 */
const answered = (...checks: Check[]): Promise<Outcome[]> => lookUntil(() => probe(...checks), areAnswered)
const areAnswered = (all: readonly Outcome[]) => all.every((one) => times(one).length === 3)

test('a server answers the probe that it has as a peer, over IPv4 and IPv6, on any of its addresses', async () => {
  for (const host of [world.host(1), world.host6(1), world.host(60_000)]) {
    const [outcome] = await answered(wireguard(host, { ...patient, fastestMs: 200 }))
    expect(outcome).toMatchObject(alive)
    for (const ms of times(outcome)) expect(ms).toBeGreaterThan(0)
    // One may be late on a busy machine.
    expect(Math.min(...times(outcome))).toBeLessThan(200)
  }
})

test('the time of a handshake is the way there and back', async () => {
  const host = world.host(2)
  await world.faults.delay([host], 300)
  const [outcome] = await answered(wireguard(host, { ...patient, fastestMs: 600 }))
  expect(outcome).toMatchObject(alive)
  for (const ms of times(outcome)) expect(ms).toBeGreaterThanOrEqual(298)
  expect(Math.min(...times(outcome))).toBeLessThan(600)
})

test('a server that does not have the probe as a peer is silent, and so is one with another key', async () => {
  const stranger = newKeys()
  const host = world.host(3)
  const unknown = { privateKey: stranger.privateKey, publicKeys: { [host]: server.keys.publicKey } }
  const wrong = { privateKey: probeKeys.privateKey, publicKeys: { [host]: stranger.publicKey } }
  const outcomes = await probe(wireguard(host, { keys: unknown }), wireguard(host, { keys: wrong }))
  expect(outcomes).toMatchObject([failed('no_reply'), failed('no_reply')])
  for (const outcome of outcomes) expect(outcome).toMatchObject({ failure: { detail: expect.stringContaining('not registered') } })
})

test('a probe with a preshared key that the server does not have is set up wrongly, which is no evidence', async () => {
  const host = world.host(3)
  const { keys } = wireguard(host)
  const presharedKey = newKeys().privateKey
  expect(await probe(wireguard(host, { ...patient, keys: { ...keys, presharedKey } as never }))).toMatchObject([
    { error: 'prober_unavailable', remedy: expect.stringContaining('preshared') },
  ])
})

test('restarts of the probing process within a second are no replay', async () => {
  for (let round = 0; round < 3; round += 1)
    expect(await probe(wireguard(world.host(4), { ...patient, packets: 1 }))).toMatchObject([{ received: 1 }])
})

test('UDP that is dropped is silence, an outage too, and ping tells the two apart', async () => {
  const [blocked, dead] = [world.host(5), world.host(6)]
  await world.faults.dropUdp([blocked], port)
  await world.faults.outage([dead])
  const both = { prober: 'icmp and wireguard' } as const
  // The members share a time-out, within which ping may not have been let run.
  const outcomes = await lookUntil(
    () => probe(wireguard(blocked), wireguard(dead), wireguard(blocked, both), wireguard(dead, both)),
    ([, , first, second]) => says(first, 'icmp ok, wireguard no reply') && says(second, 'icmp no reply, wireguard no reply'),
    (all) => expect(all.map((one) => times(one).length)).toEqual([0, 0, 0, 0]),
  )
  expect(outcomes).toMatchObject([
    failed('no_reply'),
    failed('no_reply'),
    { received: 0, failure: { layer: 'handshake', kind: 'no_reply', detail: 'icmp ok, wireguard no reply' } },
    { received: 0, failure: { layer: 'icmp', kind: 'no_reply', detail: 'icmp no reply, wireguard no reply' } },
  ])
})

test('half of the packets lost is half of the handshakes', async () => {
  const host = world.host(7)
  await world.faults.half([host])
  // What was let through may come too late.
  const [outcome] = await lookUntil(
    () => probe(wireguard(host, { packets: 10, timeoutMs: 300 })),
    ([one]) => times(one).length >= 5,
  )
  expect(outcome).toMatchObject({ sent: 10, received: 5, failure: null })
})

test('a daemon that was killed is refused, at once; behind a firewall it is silent', async () => {
  const [host, behind] = [world.host(8), world.host(9)]
  const other = await startWireguard(world, { place: 'hosts', port: port + 1, peers: [{ publicKey: probeKeys.publicKey }] })
  const check = (to: string, more: Partial<Check> = patient) =>
    wireguard(to, { ...more, port: port + 1, keys: { ...probeKeys, publicKeys: { [to]: other.keys.publicKey } } })
  expect(await answered(check(host))).toMatchObject([alive])
  await other.kill()
  await world.faults.dropUdp([behind], port + 1)
  const [refused, silent] = await probe(check(host, { ...patient, withinMs: 900 }), check(behind, {}))
  expect(refused).toMatchObject(failed('refused'))
  expect(silent).toMatchObject(failed('no_reply'))
  expect(refused?.tookMs).toBeLessThan(silent?.tookMs ?? 0)
})

test("the prober's own trouble is no evidence: no route, and its own firewall", async () => {
  const host = world.host(10)
  const notTried = { error: 'prober_unavailable', remedy: expect.stringContaining('check its own network') }
  await world.proberLink('down')
  expect(await probe(wireguard(host), wireguard(world.host6(10)))).toMatchObject([notTried, notTried])
  await world.proberLink('up')
  for (const rule of [
    'add table inet own',
    'add chain inet own out { type filter hook output priority 0; }',
    `add rule inet own out ip daddr ${host} reject`,
  ])
    await world.exec('prober', 'nft', rule)
  expect(await probe(wireguard(host))).toMatchObject([notTried])
  await world.exec('prober', 'nft', 'delete table inet own')
  expect(await answered(wireguard(host, patient))).toMatchObject([alive])
})

describe('users', () => {
  test('lose no packet while their server is probed, and their session stays', async () => {
    const user = newKeys()
    await server.peer({ publicKey: user.publicKey, allowedIps: '10.77.0.2/32' })
    const client = await startWireguard(world, {
      ...{ place: 'prober', port: 51_900, address: '10.77.0.2/24', keys: user },
      peers: [{ publicKey: server.keys.publicKey, allowedIps: '10.77.0.1/32', endpoint: `${world.host(20)}:${port}` }],
    })
    await world.exec('prober', 'ping', '-n', '-c', '1', '-W', '60', '10.77.0.1')
    const before = (await client.dump()).split('\n')[1]?.split('\t')
    // While the probe does 50 handshakes, and some strangers try in vain.
    const pinging = await startPinging(world, 'prober', 20, '10.77.0.1')
    const stranger = { privateKey: newKeys().privateKey, publicKeys: { [world.host(21)]: server.keys.publicKey } }
    let handshakes = 0
    await lookUntil(
      () => probe(wireguard(world.host(21), { packets: 50 }), wireguard(world.host(21), { packets: 10, keys: stranger, timeoutMs: 200 })),
      ([probed]) => {
        handshakes += times(probed).length
        return handshakes >= 50
      },
    )
    expect(handshakes).toBeGreaterThanOrEqual(50)
    while (pinging.answers.size < 400) await pinging.answered(Date.now())
    await pinging.stop()
    // All that was sent before the last one that was answered has been answered too.
    expect(Math.max(...pinging.answers.keys()) - pinging.answers.size).toBe(0)
    const after = (await client.dump()).split('\n')[1]?.split('\t')
    // Endpoint and latest handshake of the user's own peer.
    expect([after?.[2], after?.[4]]).toEqual([before?.[2], before?.[4]])
    // The probe's peer carries nothing and is allowed nothing.
    const peers = (await server.dump()).split('\n').map((line) => line.split('\t'))
    expect(peers.find(([key]) => key === probeKeys.publicKey)?.[3]).toBe('(none)')
    await client.kill()
  })
})

test('two vantages, each with a key of its own, see different things where one region is blocked', async () => {
  const [host, westKeys] = [world.host(15), newKeys()]
  await world.addVantage('west')
  await server.peer({ publicKey: westKeys.publicKey })
  const keys = { privateKey: westKeys.privateKey, publicKeys: { [host]: server.keys.publicKey } }
  const both = { prober: 'icmp and wireguard' } as const
  const here = () => answered(wireguard(host, { ...both, ...patient }))
  const west = (more: Partial<Check> = {}) =>
    world.json<Outcome[]>('west', 'lab/probe.ts', JSON.stringify(wireguard(host, { ...both, keys, ...more })))
  expect(await Promise.all([here(), lookUntil(() => west(patient), areAnswered)])).toMatchObject([[alive], [alive]])
  await world.faults.block('west', [host])
  const silent = { received: 0, failure: { detail: 'icmp no reply, wireguard no reply' } }
  expect(await Promise.all([here(), west()])).toMatchObject([[alive], [silent]])
  // In one direction only: the server gets the handshakes, and its answers are lost.
  await world.faults.heal()
  await world.faults.mute('west', [host])
  expect(await Promise.all([here(), west()])).toMatchObject([[alive], [silent]])
})

test('a server under load asks for a cookie, gets it back, and answers', async () => {
  await world.addVantage('flood')
  const host = world.host(30)
  await world.exec('prober', 'nft', 'add table inet cookies')
  await world.exec('prober', 'nft', 'add chain inet cookies in { type filter hook input priority 0; }')
  // Type 3, 64 bytes with 8 of UDP.
  await world.exec('prober', 'nft', `add rule inet cookies in udp sport ${port} udp length 72 counter`)
  const flood = world.node('flood', 'lab/flood.ts', host, `${port}`, server.keys.publicKey)
  const counted = async () => Number(/packets (\d+)/.exec(await world.exec('prober', 'nft', 'list table inet cookies'))?.[1])
  let outcome: Outcome | undefined
  // A flood that is not let run is none.
  for (const end = performance.now() + 120_000; performance.now() < end && !((await counted()) > 0 && times(outcome).length > 0); )
    [outcome] = await probe(wireguard(host, { packets: 10 }))
  flood.kill('SIGKILL')
  expect(await counted()).toBeGreaterThan(0)
  expect(times(outcome).length).toBeGreaterThan(0)
  await world.exec('prober', 'nft', 'delete table inet cookies')
})

test('nothing is left of the interfaces of a world that is gone', async () => {
  const other = await makeWorld()
  const { name } = await startWireguard(other, { place: 'hosts', port })
  expect(existsSync(`/var/run/wireguard/${name}.sock`)).toBe(true)
  await other.destroy()
  expect(existsSync(`/var/run/wireguard/${name}.sock`)).toBe(false)
})
