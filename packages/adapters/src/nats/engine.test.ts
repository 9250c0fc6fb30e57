// A real engine, a real broker and vantages in processes' stead: what their word may do, and what it may not.
import type { NatsConnection } from '@nats-io/transport-node'
import {
  type ConnectionMover,
  createPintail,
  type Move,
  memoryMover,
  memoryRegistry,
  type Pintail,
  type PintailEvent,
  systemClock,
} from '@pintail/core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { hasNats, type NatsServer, needsNats, startNats } from '../../test/nats.ts'
import { type Relay, relayTo } from '../../test/relay.ts'
import { newSight, proberOf, type Sight } from '../../test/vantages.ts'
import { type NatsVantages, natsVantages, type RunningVantage, runVantage, setUpNats, type VantageOptions } from './index.ts'

const long = { timeout: 100_000, interval: 25 }
const count = 8
const usersEach = 8
const ids = Array.from({ length: count }, (_, index) => `s${index + 1}`)
const hostOf = (id: string) => `192.0.2.${id.slice(1)}`
const canary = '198.51.100.1'
const pace = { checkIntervalMs: 200, jitter: 0, pingTimeoutMs: 500, falseEvacuationsPerMonth: null } as const
const detect = { ...pace, confirm: { intervalMs: 50, durationMs: 1000, timeoutMs: 200 } }
/** Vantages elsewhere, and whose users they stand for. */
const regions: Readonly<Record<string, string>> = { 'teh-1': 'ir', 'teh-2': 'ir', 'teh-3': 'ir', 'fra-2': 'eu' }

const small = { commandBytes: 1024 * 1024, deadBytes: 1024 * 1024 }

describe.skipIf(!hasNats)(`an engine and vantages over NATS ${needsNats}`, { timeout: 400_000 }, () => {
  let broker: NatsServer
  let nats: NatsConnection
  let worlds = 0
  const ends: (() => unknown)[] = []
  beforeAll(async () => {
    broker = await startNats()
    nats = await broker.connect()
  })
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  afterAll(() => broker?.stop())

  /** An engine in Europe, eight servers with users in Iran and in Europe, and vantages that ask it for the list of servers. */
  async function world(names: readonly string[], over: Readonly<Record<string, Partial<VantageOptions>>> = {}) {
    const prefix = `w${++worlds}`
    await setUpNats(nats, { prefix, ...small })
    const registry = memoryRegistry({
      servers: ids.map((id) => ({ id, host: hostOf(id), capacity: 100 })),
      connections: Object.fromEntries(
        ids.map((id) => [
          id,
          Array.from({ length: usersEach }, (_, index) => ({ id: `${id}-c${index}`, region: index % 2 ? 'ir' : 'eu' })),
        ]),
      ),
    })
    const moves: Move[] = []
    const inner = memoryMover(registry)
    const mover: ConnectionMover = {
      ...inner,
      move: (move, ctx) => {
        moves.push(move)
        return inner.move(move, ctx)
      },
    }
    const sights: Record<string, Sight> = Object.fromEntries(['fra-1', ...names].map((name) => [name, newSight()]))
    const relays: Record<string, Relay> = {}
    const source: NatsVantages = natsVantages({ nats, prefix, servers: registry, refreshMs: 1000 })
    const events: PintailEvent[] = []
    const engine: Pintail = createPintail({
      registry,
      mover,
      probers: [proberOf(sights['fra-1'] as Sight)],
      observations: source,
      vantage: { name: 'fra-1', region: 'eu' },
      policy: {
        mode: 'auto',
        registryRefreshMs: 1000,
        guards: { recheckMs: 100 },
        detect: { ...detect, vantages: Object.fromEntries(names.map((name) => [name, { region: regions[name] as string }])) },
      },
    })
    engine.on('*', (event) => void events.push(event as PintailEvent))
    const following = source.follow(engine)
    await engine.start()
    ends.push(async () => {
      following[Symbol.dispose]()
      await engine.stop()
    })
    const vantages: Record<string, RunningVantage> = {}
    for (const name of names) {
      const relay = await relayTo(broker.port)
      relays[name] = relay
      const own = await broker.connect({ servers: `127.0.0.1:${relay.port}`, pingInterval: 1000, maxPingOut: 2 })
      const options = { nats: own, prefix, vantage: name, detect, refreshMs: 500, canaries: [{ host: canary }], ...over[name] }
      const one = await runVantage({ probers: [proberOf(sights[name] as Sight)], ...options })
      vantages[name] = one
      ends.push(async () => {
        await one.stop()
        await own.close()
        await relay.close()
      })
    }
    const health = () => Object.fromEntries(engine.status().vantages.map(({ name, healthy }) => [name, healthy]))
    await expect.poll(health, long).toEqual(Object.fromEntries(['fra-1', ...names].map((name) => [name, true])))
    await expect.poll(() => engine.status().servers.filter(({ verdict }) => verdict.verdict === 'up').length, long).toBe(count)
    return {
      engine,
      source,
      sights,
      relays,
      vantages,
      moves,
      registry,
      events,
      of: (type: PintailEvent['type']) => events.filter((event) => event.type === type),
      health,
      /** So many more samples of a vantage have been taken: time in which something could have happened. */
      samplesOf: (name: string) => source.status().vantages.find(({ vantage }) => vantage === name)?.samples ?? 0,
      /** Where the users of a region are, by server. */
      homes: (region: string) =>
        Object.fromEntries(
          ids.map((id) => [id, registry.on(id).filter((user) => (Number(user.split('-c')[1]) % 2 ? 'ir' : 'eu') === region).length]),
        ),
    }
  }
  /** So many more checks by the engine itself: time in which something could have happened. */
  const checks = (sight: Sight, more: number) => {
    const from = sight.probes
    return expect.poll(() => sight.probes - from, long).toBeGreaterThan(more)
  }

  test('a server that is blocked for one region loses the users of that region alone, to servers that are reachable there', async () => {
    const { sights, of, homes, moves, registry } = await world(['teh-1', 'teh-2'])
    for (const name of ['teh-1', 'teh-2']) for (const id of ['s1', 's2']) sights[name]?.dead.add(hostOf(id))
    await expect.poll(() => of('evacuation.completed').length, long).toBe(2)
    expect(homes('ir')).toMatchObject({ s1: 0, s2: 0 })
    expect(Object.values(homes('ir')).reduce((sum, one) => sum + one)).toBe((count * usersEach) / 2)
    expect(homes('eu')).toEqual(Object.fromEntries(ids.map((id) => [id, usersEach / 2])))
    for (const { to } of moves) expect(['s1', 's2']).not.toContain(to.id)
    expect(moves).toHaveLength(usersEach)
    expect(of('server.status_set')).toEqual([])
    expect(registry.hasServer('s1')).toBe(true)
  })

  test('a vantage that sees nothing any more is no witness, with canaries and without, and one that is back is', async () => {
    const { sights, of, moves, health } = await world(['teh-1', 'teh-2'], { 'teh-2': { canaries: [] } })
    for (const name of ['teh-1', 'teh-2']) (sights[name] as Sight).isCut = true
    await expect.poll(health, long).toEqual({ 'fra-1': true, 'teh-1': false, 'teh-2': false })
    await checks(sights['fra-1'] as Sight, 100)
    for (const name of ['teh-1', 'teh-2']) (sights[name] as Sight).isCut = false
    await expect.poll(health, long).toEqual({ 'fra-1': true, 'teh-1': true, 'teh-2': true })
    expect(of('vantage.lost').length).toBeGreaterThanOrEqual(2)
    expect(of('vantage.returned').length).toBeGreaterThanOrEqual(2)
    expect([of('incident.opened').length, moves.length]).toEqual([0, 0])
  })

  test('a silent vantage is not a healthy one: what it said last counts for nothing, and nothing is decided for its region', async () => {
    const { sights, relays, events, of, moves, health, vantages } = await world(['teh-1', 'teh-2'])
    // Both have their line to the broker cut, one in the middle of a suspicion.
    sights['teh-1']?.dead.add(hostOf('s1'))
    const isSuspected = () =>
      events.some((event) => event.type === 'server.verdict_changed' && event.data.serverId === 's1' && event.data.verdict === 'suspect')
    await expect.poll(isSuspected, long).toBe(true)
    for (const name of ['teh-1', 'teh-2']) relays[name]?.turn('down')
    sights['teh-2']?.dead.add(hostOf('s1'))
    await expect.poll(health, long).toEqual({ 'fra-1': true, 'teh-1': false, 'teh-2': false })
    expect([of('incident.opened').length, moves.length]).toEqual([0, 0])
    // They have kept the newest; when the line is back their word counts.
    for (const name of ['teh-1', 'teh-2']) relays[name]?.turn('up')
    await expect.poll(() => of('evacuation.completed').length, long).toBe(1)
    expect(moves).toHaveLength(usersEach / 2)
    for (const { from } of moves) expect(from.id).toBe('s1')
    await expect.poll(() => vantages['teh-1']?.status().delivering, long).toBe(true)
  })

  test('a vantage that says that everything is down moves nobody, whether or not it says that it has a network', async () => {
    const { sights, moves, of, samplesOf } = await world(['teh-1', 'teh-2'])
    for (const id of ids) sights['teh-1']?.dead.add(hostOf(id))
    const from = samplesOf('teh-1')
    await expect.poll(() => samplesOf('teh-1') - from, long).toBeGreaterThan(300)
    ;(sights['teh-1'] as Sight).isCut = true
    await checks(sights['fra-1'] as Sight, 100)
    expect([of('incident.opened').length, moves.length]).toEqual([0, 0])
  })

  test('alone in its region it moves nobody either', async () => {
    const { sights, moves, of, samplesOf } = await world(['teh-1'])
    for (const id of ids.slice(0, 2)) sights['teh-1']?.dead.add(hostOf(id))
    const from = samplesOf('teh-1')
    await expect.poll(() => samplesOf('teh-1') - from, long).toBeGreaterThan(200)
    expect([of('incident.opened').length, moves.length]).toEqual([0, 0])
  })

  test('a vantage that says that everything is up keeps nobody on a dead server, where others see it, and moves nobody else', async () => {
    const { sights, moves, of, homes } = await world(['teh-1', 'teh-2', 'teh-3', 'fra-2'])
    // The first of them goes on saying that it answers.
    for (const name of ['fra-1', 'teh-2', 'teh-3', 'fra-2']) sights[name]?.dead.add(hostOf('s3'))
    await expect.poll(() => of('evacuation.completed').length, long).toBeGreaterThanOrEqual(1)
    await expect.poll(() => [homes('ir').s3, homes('eu').s3], long).toEqual([0, 0])
    for (const { from } of moves) expect(from.id).toBe('s3')
    expect(moves).toHaveLength(usersEach)
  })

  test('clocks of vantages that are minutes off change nothing', async () => {
    const skewed = (ms: number) => ({ clock: { ...systemClock, now: () => systemClock.now() + ms } })
    const { sights, of, moves, source, engine } = await world(['teh-1', 'teh-2'], { 'teh-1': skewed(240_000), 'teh-2': skewed(-240_000) })
    for (const name of ['teh-1', 'teh-2']) sights[name]?.dead.add(hostOf('s1'))
    await expect.poll(() => of('evacuation.completed').length, long).toBe(1)
    expect(moves).toHaveLength(usersEach / 2)
    const skews = Object.fromEntries(source.status().vantages.map(({ vantage, skewMs }) => [vantage, Math.round((skewMs ?? 0) / 60_000)]))
    expect(skews).toEqual({ 'teh-1': -4, 'teh-2': 4 })
    expect(engine.status().observations.refused).not.toHaveProperty('in_the_future')
    expect(engine.status().observations.refused).not.toHaveProperty('too_late')
  })

  test('a restart of the broker in the middle of an outage delays what is decided, and decides nothing else', async () => {
    const { sights, of, moves, health } = await world(['teh-1', 'teh-2'])
    await broker.down()
    for (const name of ['teh-1', 'teh-2']) sights[name]?.dead.add(hostOf('s1'))
    await checks(sights['teh-1'] as Sight, 60)
    expect(moves).toEqual([])
    await broker.start()
    await expect.poll(() => of('evacuation.completed').length, long).toBe(1)
    expect(moves).toHaveLength(usersEach / 2)
    for (const { from } of moves) expect(from.id).toBe('s1')
    await expect.poll(health, long).toEqual({ 'fra-1': true, 'teh-1': true, 'teh-2': true })
  })
})
