import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { memoryRegistry, type Prober, type ProbeTarget } from '@pintail/core'
import { fakeClock } from '@pintail/core/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hasNats, type NatsServer, needsNats, startNats } from '../../test/nats.ts'
import { gathered, newSight, noted, proberOf, type Sight } from '../../test/vantages.ts'
import { encodeBatch } from './batch.ts'
import { natsPermissions, natsVantages, type RunningVantage, runVantage, setUpNats, type VantageOptions } from './index.ts'
import { natsSubjects } from './subjects.ts'

const subjects = natsSubjects()
const long = { timeout: 60_000, interval: 5 }
const fast = { checkIntervalMs: 100, jitter: 0, pingTimeoutMs: 500, confirm: { intervalMs: 20, timeoutMs: 200 } } as const
/** The engine's side is asked. */
const asked = null
const two = [
  { id: 's1', host: '192.0.2.1' },
  { id: 's2', host: '192.0.2.2' },
]

const small = { commandBytes: 1024 * 1024, deadBytes: 1024 * 1024 }

describe.skipIf(!hasNats)(`vantages over NATS ${needsNats}`, { timeout: 300_000 }, () => {
  let broker: NatsServer
  let nats: NatsConnection
  const running: RunningVantage[] = []
  const readers: { stop(): Promise<void> }[] = []
  let sight: Sight
  beforeAll(async () => {
    broker = await startNats()
    nats = await broker.connect()
  })
  beforeEach(async () => {
    sight = newSight()
    await setUpNats(nats, small)
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop()))
    await Promise.all(readers.splice(0).map((one) => one.stop()))
    await (await jetstreamManager(nats)).streams.delete(subjects.streams.samples)
  })
  afterAll(() => broker?.stop())

  const vantage = async (over: Partial<VantageOptions> = {}) => {
    const one = await runVantage({ nats, vantage: 'teh-1', servers: two, probers: [proberOf(sight)], detect: fast, ...over })
    running.push(one)
    return one
  }
  /** What `sight` says, and each check is told when it begins. */
  const told = (check: (target: ProbeTarget) => unknown): Prober => {
    const { name, probe } = proberOf(sight)
    return {
      name,
      probe: (target, ctx) => {
        check(target)
        return probe(target, ctx)
      },
    }
  }
  const read = (source: Parameters<typeof gathered>[0]) => {
    const one = gathered(source)
    readers.push(one)
    return one
  }
  const consumers = async () => (await (await jetstreamManager(nats)).streams.info(subjects.streams.samples)).state.consumer_count
  /** Reading has begun: only what comes from now on is of interest. */
  const readingOf = async (source: Parameters<typeof gathered>[0]) => {
    const one = read(source)
    await expect.poll(consumers, long).toBe(1)
    return one
  }

  test('what a vantage sees arrives, in the name of that vantage and with times that fit', async () => {
    const source = natsVantages({ nats })
    const reader = await readingOf(source)
    sight.dead.add('192.0.2.2')
    const begunAt = Date.now()
    const one = await vantage({ canaries: [{ host: '192.0.2.9', port: 53 }] })
    await expect
      .poll(() => new Set(reader.samples.map(({ serverId }) => serverId)), long)
      .toEqual(new Set(['s1', 's2', 'canary:192.0.2.9:53']))
    const of = (id: string) => reader.samples.find(({ serverId }) => serverId === id)
    expect(of('s1')).toMatchObject({ vantage: 'teh-1', prober: 'sight', sent: 1, received: 1, rttMs: [20] })
    expect(of('s2')).toMatchObject({ sent: 1, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'icmp' } })
    for (const { sentAt } of reader.samples) {
      expect(sentAt).toBeGreaterThan(begunAt - 1000)
      expect(sentAt).toBeLessThan(Date.now() + 1000)
    }
    await expect.poll(() => one.status(), long).toMatchObject({ delivering: true, servers: 2, lost: 0 })
    expect(source.status()).toMatchObject({ reading: true, nobody: 0, vantages: [{ vantage: 'teh-1', refused: {}, lost: 0 }] })
  })

  test('what looks dead is looked at closely at once, and what is dead as often as everything', async () => {
    const reader = await readingOf(natsVantages({ nats }))
    const clock = fakeClock(Date.now())
    const checkedAt: number[] = []
    const noting = told(({ serverId }) => serverId === 's1' && checkedAt.push(clock.now()))
    const confirm = { intervalMs: 20, durationMs: 600, timeoutMs: 200 }
    await vantage({ clock, probers: [noting], detect: { ...fast, checkIntervalMs: 400, confirm } })
    await clock.advance(2000)
    sight.dead.add('192.0.2.1')
    const [diedAt, before] = [clock.now(), checkedAt.length]
    await clock.advance(6000)
    const gaps = checkedAt.slice(before).map((at, index) => at - (checkedAt[before + index - 1] ?? at))
    expect(gaps.slice(1, 12).toSorted((a, b) => a - b)[5]).toBeLessThanOrEqual(40)
    // And has gone back to the steady pace.
    expect(checkedAt.filter((at) => at > diedAt + 2000).length).toBeLessThanOrEqual(11)
    const failing = () => reader.samples.filter(({ serverId, received }) => serverId === 's1' && received === 0)
    await expect.poll(() => clock.advance(10).then(() => failing().length), long).toBeGreaterThan(20)
  })

  test('a vantage asks the side of the engine which servers there are, and keeps the list while nobody answers', async () => {
    const registry = memoryRegistry({ servers: two })
    const stopping = read(natsVantages({ nats, servers: registry, refreshMs: 1000 }))
    const one = await vantage({ servers: asked, refreshMs: 100 })
    await expect.poll(() => one.status().servers, long).toBe(2)
    registry.putServer({ id: 's3', host: '192.0.2.3' })
    await expect.poll(() => one.status().servers, long).toBe(3)
    readers.splice(0)
    await stopping.stop()
    const { sent } = one.status()
    await expect.poll(() => one.status().sent, long).toBeGreaterThan(sent + 20)
    expect(one.status().servers).toBe(3)
    await expect.poll(() => one.status().listAgeMs, long).toBeGreaterThan(500)
  })

  test('a fleet of many pages comes whole, and after a change only what has changed is asked for', async () => {
    const servers = Array.from({ length: 5000 }, (_, index) => ({
      id: `s${index}`,
      host: `10.0.${index >> 8}.${index & 255}`,
      port: 51_820,
    }))
    const registry = memoryRegistry({ servers })
    const source = natsVantages({ nats, servers: registry, refreshMs: 1000 })
    read(source)
    const one = await vantage({ servers: asked, refreshMs: 100, detect: { ...fast, checkIntervalMs: 60_000 } })
    await expect.poll(() => one.status().servers, long).toBe(5000)
    expect(source.status().lists.answered).toBeGreaterThanOrEqual(17)
    registry.removeServer('s77')
    registry.putServer({ id: 's77', host: '10.9.9.9', port: 51_820 })
    registry.removeServer('s78')
    await expect.poll(() => one.status().servers, long).toBe(4999)
  })

  test('with a list that is too old nothing is probed any more but its canaries', async () => {
    const stopping = read(natsVantages({ nats, servers: memoryRegistry({ servers: two }), refreshMs: 1000 }))
    const clock = fakeClock(Date.now())
    const probed = new Set<string>()
    const noting = told(({ serverId }) => probed.add(serverId))
    const canaries = [{ host: '192.0.2.9' }]
    const one = await vantage({ clock, servers: asked, refreshMs: 100, forgetAfterMs: 1000, probers: [noting], canaries })
    await expect.poll(() => clock.advance(20).then(() => probed.size), long).toBe(3)
    readers.splice(0)
    await stopping.stop()
    // What was answered before is read.
    await nats.flush()
    await clock.settle()
    await expect.poll(() => clock.advance(20).then(() => one.status().listAgeMs), long).toBeGreaterThan(1000)
    probed.clear()
    const { probes } = sight
    await expect.poll(() => clock.advance(20).then(() => sight.probes - probes), long).toBeGreaterThan(5)
    expect([...probed]).toEqual(['canary:192.0.2.9:'])
  })

  test('what the engine suspects a vantage looks at closely too, as long as it is asked to', async () => {
    type Told = { serverId: string; audience: string | null; verdict: string }
    const listeners = new Map<string, (data: Told) => void>()
    const on = (type: string, listener: (data: Told) => void) => {
      listeners.set(type, listener)
      return { [Symbol.dispose]: () => void listeners.delete(type) }
    }
    const source = natsVantages({ nats })
    const following = source.follow({ on: on as never })
    const reader = await readingOf(source)
    const clock = fakeClock(Date.now())
    const one = await vantage({ clock, detect: { ...fast, checkIntervalMs: 3_600_000 } })
    await expect.poll(() => clock.advance(20).then(() => reader.samples.length), long).toBeGreaterThanOrEqual(2)
    const tell = listeners.get('server.verdict_changed') as (data: Told) => void
    for (const audience of [null, 'ir']) tell({ serverId: 's1', audience, verdict: 'suspect' })
    tell({ serverId: 's1', audience: null, verdict: 'up' })
    const of = (id: string) => reader.samples.filter(({ serverId }) => serverId === id).length
    await expect.poll(() => clock.advance(20).then(() => of('s1')), long).toBeGreaterThan(30)
    expect(of('s2')).toBeLessThan(3)
    tell({ serverId: 's1', audience: 'ir', verdict: 'down' })
    await expect.poll(() => clock.advance(20).then(() => one.status().looks), long).toBe(0)
    following[Symbol.dispose]()
    expect(listeners.size).toBe(0)
  })

  test('over a restart of the broker the newest samples are kept, and reading goes on by itself', async () => {
    const reader = await readingOf(natsVantages({ nats }))
    const logger = noted()
    const clock = fakeClock(Date.now())
    // No faster than the broker's, or it would take what waits for old.
    const pass = async (): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      await clock.advance(20)
    }
    // Each of its answers can be told from all others.
    let count = 0
    const numbering: Prober = { name: 'numbering', probe: async () => ({ sent: 1, received: 1, rttMs: [++count] }) }
    const one = await vantage({ clock, logger, probers: [numbering] })
    await expect.poll(() => pass().then(() => reader.samples.length), long).toBeGreaterThan(4)
    await broker.down()
    await expect.poll(() => pass().then(() => one.status().waiting), long).toBeGreaterThan(20)
    const before = reader.samples.length
    await broker.start()
    await expect.poll(() => pass().then(() => reader.samples.length - before), long).toBeGreaterThan(40)
    expect(one.status().lost).toBe(0)
    // Each once, though some were sent twice, and none is missing up to the one after which none has come yet.
    const numbers = reader.samples.map(({ rttMs }) => rttMs?.[0] ?? 0).toSorted((a, b) => a - b)
    expect(new Set(numbers).size).toBe(numbers.length)
    const missing = Array.from({ length: (numbers[before + 30] ?? 0) - 1 }, (_, index) => index + 1).filter((n) => !numbers.includes(n))
    expect(missing).toEqual([])
  })

  test('what comes while a reader that has read nothing yet has lost its consumer is not lost', async () => {
    const source = natsVantages({ nats })
    const reader = await readingOf(source)
    await expect.poll(() => source.status().reading, long).toBe(true)
    const { consumers: known } = await jetstreamManager(nats)
    const names: string[] = []
    for await (const { name } of known.list(subjects.streams.samples)) names.push(name)
    const packed = { seq: 1, base: Date.now(), probers: ['icmp'], lines: ['s1 0 0 1 1 20'] }
    const message = encodeBatch('teh-1', 'run-12345678', packed, Date.now(), 0)
    // The broker reads both before anybody has heard of the first.
    await Promise.all([
      ...names.map((name) => known.delete(subjects.streams.samples, name)),
      jetstream(nats).publish(subjects.sample('teh-1'), message),
    ])
    await expect.poll(() => reader.samples.length, long).toBe(1)
  })

  test('when the stream was wiped and is made anew, reading and telling go on', async () => {
    const reader = await readingOf(natsVantages({ nats }))
    const one = await vantage()
    await expect.poll(() => reader.samples.length, long).toBeGreaterThan(30)
    const manager = await jetstreamManager(nats)
    await manager.streams.delete(subjects.streams.samples)
    await expect.poll(() => one.status().delivering, long).toBe(false)
    await setUpNats(nats, small)
    const before = reader.samples.length
    await expect.poll(() => reader.samples.length - before, long).toBeGreaterThan(10)
    await expect.poll(() => one.status().delivering, long).toBe(true)
  })

  test('an engine that starts reads nothing of before it', async () => {
    const one = await vantage({ vantage: 'fra-1' })
    await expect.poll(() => one.status().sent, long).toBeGreaterThan(20)
    await one.stop()
    const { messages } = (await (await jetstreamManager(nats)).streams.info(subjects.streams.samples)).state
    expect(messages).toBeGreaterThan(0)
    const reader = await readingOf(natsVantages({ nats }))
    await vantage()
    await expect.poll(() => reader.of('teh-1').length, long).toBeGreaterThan(2)
    expect(reader.of('fra-1')).toEqual([])
  })

  test('whatever anybody publishes there, the samples of others come through, and nothing else does', async () => {
    const logger = noted()
    const source = natsVantages({ nats, logger })
    const reader = await readingOf(source)
    const js = jetstream(nats)
    const junk = ['', 'null', '{}', '{"v":2}', 'x'.repeat(264_000), JSON.stringify({ v: 1, vantage: 'teh-1' })]
    for (const body of junk) await js.publish(subjects.sample('evil'), body)
    // What is larger the broker itself refuses.
    await expect(js.publish(subjects.sample('evil'), 'x'.repeat(290_000))).rejects.toThrow(/size/)
    await js.publish('vpn.samples.=zz', 'x')
    await vantage()
    await expect.poll(() => reader.of('teh-1').length, long).toBeGreaterThan(5)
    expect(reader.of('evil')).toEqual([])
    const evil = source.status().vantages.find(({ vantage }) => vantage === 'evil')
    expect(evil).toMatchObject({ messages: 6, samples: 0, refused: { malformed: 4, unknown_version: 1, oversized: 1 } })
    expect(source.status().nobody).toBe(1)
    expect(logger.lines).toHaveLength(4)
  })

  test('who stops leaves nothing behind: no subscription, no consumer, no timer', async () => {
    const other = await broker.connect()
    const source = natsVantages({ nats: other, servers: memoryRegistry({ servers: two }) })
    const reader = gathered(source)
    await expect.poll(consumers, long).toBe(1)
    const one = await runVantage({ nats: other, vantage: 'fra-1', probers: [proberOf(sight)], detect: fast, refreshMs: 100 })
    await expect.poll(() => one.status().sent, long).toBeGreaterThan(2)
    await Promise.all([one.stop(), one.stop()])
    await reader.stop()
    const { probes } = sight
    await expect.poll(consumers, long).toBe(0)
    await other.flush()
    expect(sight.probes).toBe(probes)
    expect(source.status().reading).toBe(false)
    // Its own two for requests and pulls may stay; of ours there is none.
    const left = (other as unknown as { protocol: { subscriptions: { subs: Map<number, { subject: string }> } } }).protocol.subscriptions
      .subs
    expect([...left.values()].map(({ subject }) => subject).filter((subject) => subject.startsWith('vpn.'))).toEqual([])
    await other.close()
  })

  test('options that cannot be are refused, each by name', async () => {
    const wrong: [Partial<VantageOptions>, RegExp][] = [
      [{ vantage: '' }, /vantage/],
      [{ vantage: 'a b' }, /vantage/],
      [{ vantage: '*' }, /vantage/],
      [{ prefix: 'a.*' }, /prefix/],
      [{ maxWaiting: 1 }, /maxWaiting/],
      [{ forgetAfterMs: 0 }, /forgetAfterMs/],
      [{ refreshMs: 1 }, /registryRefreshMs/],
      [{ detect: { checkIntervalMs: 1 } }, /checkIntervalMs/],
      [{ canaries: [{ host: '-h' }] }, /canaries/],
    ]
    for (const [over, told] of wrong) {
      const error = await vantage(over).catch((thrown) => thrown)
      expect(error).toMatchObject({ code: 'invalid_options' })
      expect(`${error.message} ${JSON.stringify(error.problems)}`).toMatch(told)
    }
    for (const over of [{ refreshMs: 1 }, { maxSamplesPerSecond: 0 }, { prefix: '' }])
      expect(() => natsVantages({ nats, ...over })).toThrow(expect.objectContaining({ code: 'invalid_options' }))
  })
})

describe.skipIf(!hasNats)(`permissions of vantages ${needsNats}`, { timeout: 300_000 }, () => {
  const roles = {
    engine: { role: 'engine', name: 'e1' },
    'teh-1': { role: 'vantage', name: 'teh-1' },
    'fra-1': { role: 'vantage', name: 'fra-1' },
  } as const
  const users = Object.entries(roles).map(([user, role]) => {
    const { inboxPrefix: _, ...permissions } = natsPermissions(role)
    return { user, password: user, permissions }
  })
  const config = `authorization ${JSON.stringify({ users: [{ user: 'admin', password: 'admin' }, ...users] })}`
  let broker: NatsServer
  beforeAll(async () => {
    broker = await startNats({ config })
    await setUpNats(await broker.connect({ user: 'admin', pass: 'admin' }), small)
  })
  afterAll(() => broker?.stop())
  const as = (user: keyof typeof roles) => broker.connect({ user, pass: user, inboxPrefix: natsPermissions(roles[user]).inboxPrefix })

  test('with the permissions of its role a vantage asks for servers, probes and publishes, and the engine reads', async () => {
    const sight = newSight()
    const registry = memoryRegistry({ servers: two })
    const source = natsVantages({ nats: await as('engine'), servers: registry, refreshMs: 1000 })
    const reader = gathered(source)
    await expect.poll(() => source.status().reading, long).toBe(true)
    const one = await runVantage({ nats: await as('teh-1'), vantage: 'teh-1', probers: [proberOf(sight)], detect: fast, refreshMs: 100 })
    await expect.poll(() => new Set(reader.of('teh-1').map(({ serverId }) => serverId)), long).toEqual(new Set(['s1', 's2']))
    // And is asked to look closely.
    let told = (_: object): void => {}
    const on = (type: string, listener: (data: object) => void) => {
      if (type === 'server.verdict_changed') told = listener
      return { [Symbol.dispose]: () => {} }
    }
    source.follow({ on: on as never })
    told({ serverId: 's1', audience: null, verdict: 'suspect' })
    await expect.poll(() => one.status().looks, long).toBe(1)
    await one.stop()
    await reader.stop()
  })

  test('a vantage can neither speak for another, nor read samples or commands, nor answer for the engine', async () => {
    const fra = await as('fra-1')
    const admin = await broker.connect({ user: 'admin', pass: 'admin' })
    const before = (await (await jetstreamManager(admin)).streams.info('VPN_SAMPLES')).state.messages
    const js = jetstream(fra, { timeout: 60_000 })
    await js.publish(subjects.sample('fra-1'), 'x')
    for (const subject of [
      subjects.sample('teh-1'),
      subjects.command('de', 'de-1'),
      'vpn.targets.look',
      '$JS.API.STREAM.DELETE.VPN_SAMPLES',
    ])
      await expect(js.publish(subject, 'x'), subject).rejects.toThrow()
    for (const subject of ['vpn.samples.>', 'vpn.cmd.>', 'vpn.targets.ask', '_INBOX_vpn_vantage_teh-1.>', '_INBOX.>']) {
      const ended = new Promise((resolve) => fra.subscribe(subject, { callback: (error) => resolve(error) }))
      expect(String(await ended), subject).toMatch(/permission/i)
    }
    await expect(js.consumers.get('VPN_SAMPLES')).rejects.toThrow()
    const info = await (await jetstreamManager(admin)).streams.info('VPN_SAMPLES')
    expect(info.state.messages).toBe(before + 1)
  })
})
