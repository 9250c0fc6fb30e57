// Several engines over one store: who probes what, and what the leader makes of it.
import { expect, test } from 'vitest'
import { createPintail } from '../create.ts'
import { memoryLeases } from '../memory/leases.ts'
import { memoryMover } from '../memory/mover.ts'
import { type MemoryRegistry, memoryRegistry } from '../memory/registry.ts'
import { memoryStore } from '../memory/store.ts'
import type { PintailOptions } from '../options.ts'
import type { MigrationStore, Prober, ServerInput } from '../ports.ts'
import type { Pintail } from '../surface.ts'
import { type FakeClock, fakeClock, seededRandom } from '../testing/index.ts'
import type { PolicyInput } from '../vocabulary.ts'

interface World {
  readonly clock: FakeClock
  readonly registry: MemoryRegistry
  readonly store: MigrationStore
  /** Servers, or `engine/server`: dead for that engine alone. */
  readonly down: Set<string>
  /** Engines that have no network: nothing answers them. */
  readonly cut: Set<string>
  /** Checks by engine and server. */
  readonly checks: Map<string, Map<string, number>>
  engine(name: string, options?: Partial<PintailOptions>): Promise<Pintail>
  counted(name: string): number
  forget(): void
  end(): Promise<void>
}

const intervalMs = 5000

function createWorld(servers = 12, policy: PolicyInput = {}, store: MigrationStore = memoryStore()): World {
  const clock = fakeClock()
  const ids = Array.from({ length: servers }, (_, index) => `s${index + 1}`)
  const registry = memoryRegistry({
    servers: ids.map((id) => ({ id, host: `${id}.test`, capacity: 100 })),
    connections: Object.fromEntries(ids.map((id) => [id, [{ id: `u-${id}` }]])),
  })
  const [down, cut] = [new Set<string>(), new Set<string>()]
  const checks = new Map<string, Map<string, number>>()
  const leases = memoryLeases(clock)
  const engines: Pintail[] = []
  const prober = (name: string): Prober => ({
    name: 'icmp',
    probe: ({ serverId, timeoutMs, packets }, { signal }) => {
      const own = checks.get(name) ?? new Map<string, number>()
      checks.set(name, own.set(serverId, (own.get(serverId) ?? 0) + 1))
      const fails = down.has(serverId) || down.has(`${name}/${serverId}`) || cut.has(name)
      return new Promise((resolve, reject) => {
        const timer = clock.setTimeout(
          () =>
            resolve(
              fails
                ? { sent: packets, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'icmp' } }
                : { sent: packets, received: packets, rttMs: Array.from({ length: packets }, () => 20) },
            ),
          fails ? timeoutMs : 20,
        )
        signal.addEventListener('abort', () => {
          timer.cancel()
          reject(signal.reason)
        })
      })
    },
  })
  return {
    clock,
    registry,
    store,
    down,
    cut,
    checks,
    engine: async (name, options = {}) => {
      const pintail = createPintail({
        registry,
        mover: memoryMover(registry),
        store,
        leases,
        probers: [prober(name)],
        clock,
        random: seededRandom(7 + engines.length),
        policy: { mode: 'auto', startupDelayMs: 0, ...policy },
        ...options,
      })
      engines.push(pintail)
      await pintail.start()
      await clock.advance(1)
      return pintail
    },
    counted: (name) => [...(checks.get(name)?.values() ?? [])].reduce((sum, one) => sum + one, 0),
    forget: () => checks.clear(),
    end: async () => {
      await Promise.all(engines.map((one) => stopped(clock, one)))
    },
  }
}

async function stopped(clock: FakeClock, pintail: Pintail): Promise<void> {
  let isOver = false
  const over = pintail.stop().then(() => {
    isOver = true
  })
  for (let waited = 0; !isOver && waited < 200; waited++) await clock.advance(100)
  await over
}

const healthy = (pintail: Pintail) =>
  pintail
    .status()
    .vantages.filter(({ healthy }) => healthy)
    .map(({ name }) => name)

test('engines over one store share the steady checks: together they send what one alone would', async () => {
  const world = createWorld(40)
  const leader = await world.engine('a')
  await world.clock.advance(60_000)
  world.forget()
  await world.clock.advance(60_000)
  const alone = world.counted('a')
  await world.engine('b')
  await world.clock.advance(60_000)
  expect(healthy(leader)).toHaveLength(2)
  world.forget()
  await world.clock.advance(60_000)
  const [a, b] = [world.counted('a'), world.counted('b')]
  // Forty servers by two: a share is 20, with a standard deviation of 3.
  expect(a).toBeGreaterThan(alone / 4)
  expect(b).toBeGreaterThan(alone / 4)
  expect(a + b).toBeLessThan(alone * 1.1)
  expect(a + b).toBeGreaterThan(alone * 0.9)
  // Each server is looked at by one of them.
  for (const server of Array.from({ length: 40 }, (_, index) => `s${index + 1}`))
    expect([world.checks.get('a')?.has(server) ?? false, world.checks.get('b')?.has(server) ?? false].filter(Boolean)).toHaveLength(1)
  await world.end()
})

test('a server that fails in the share of a standby is seen by both, and its users are moved', async () => {
  const world = createWorld(12)
  const leader = await world.engine('a', { vantage: { name: 'ams' } })
  await world.engine('b', { vantage: { name: 'fra' } })
  await world.clock.advance(60_000)
  world.forget()
  await world.clock.advance(20_000)
  const theirs = [...(world.checks.get('b')?.keys() ?? [])].find((id) => !world.checks.get('a')?.has(id)) as string
  world.down.add(theirs)
  const from = world.clock.now()
  let detectedAt = 0
  leader.on('incident.opened', ({ serverId }) => {
    if (serverId === theirs) detectedAt ||= world.clock.now()
  })
  await world.clock.advance(60_000)
  expect(detectedAt - from).toBeLessThan(16_000)
  expect(detectedAt).toBeGreaterThan(0)
  const [incident] = leader.status().incidents
  expect(incident?.votes?.filter(({ verdict }) => verdict === 'down')).toHaveLength(2)
  expect(world.registry.on(theirs)).toEqual([])
  await world.end()
})

test('what the leader suspects the others look at too', async () => {
  const world = createWorld(12)
  const leader = await world.engine('a', { vantage: { name: 'ams' } })
  await world.engine('b', { vantage: { name: 'fra' } })
  await world.clock.advance(60_000)
  world.forget()
  await world.clock.advance(20_000)
  const ours = [...(world.checks.get('a')?.keys() ?? [])].find((id) => !world.checks.get('b')?.has(id)) as string
  world.down.add(ours)
  await world.clock.advance(30_000)
  expect(world.checks.get('b')?.get(ours)).toBeGreaterThan(3)
  expect(leader.status().incidents[0]?.votes?.filter(({ verdict }) => verdict === 'down')).toHaveLength(2)
  await world.end()
})

test('engines of one name stand in one place: they have one voice, and the leader’s own word counts', async () => {
  const world = createWorld(12)
  const leader = await world.engine('a')
  await world.engine('b')
  await world.clock.advance(60_000)
  world.forget()
  await world.clock.advance(20_000)
  const theirs = [...(world.checks.get('b')?.keys() ?? [])].find((id) => !world.checks.get('a')?.has(id)) as string
  // The standby alone cannot reach it: the leader looks at once, and goes on looking.
  world.down.add(`b/${theirs}`)
  await world.clock.advance(8000)
  expect(world.checks.get('a')?.get(theirs)).toBeGreaterThan(0)
  await world.clock.advance(300_000)
  expect(leader.status().incidents).toEqual([])
  expect(leader.status().counts).toMatchObject({ up: 12 })
  // It fails for both: one voice confirms it, as long as one vantage has to.
  world.down.add(theirs)
  const from = world.clock.now()
  await world.clock.advance(30_000)
  const [incident] = leader.status().incidents
  expect((incident?.openedAt ?? 0) - from).toBeLessThan(16_000)
  expect((incident?.openedAt ?? 0) - from).toBeGreaterThan(6000)
  expect(world.registry.on(theirs)).toEqual([])
  await world.end()
})

test('engines of one place that lose their network together do not outvote another vantage', async () => {
  const world = createWorld(12, { detect: { minAudienceVantages: 2 } })
  const leader = await world.engine('a')
  await world.engine('b')
  await world.engine('c', { vantage: { name: 'fra' } })
  await world.clock.advance(60_000)
  for (const name of ['a', 'b']) for (let server = 1; server <= 3; server++) world.down.add(`${name}/s${server}`)
  await world.clock.advance(120_000)
  expect(leader.status().incidents).toEqual([])
  await world.end()
})

test('the share of a standby that dies is looked at again within its silence', async () => {
  const world = createWorld(20)
  const leader = await world.engine('a')
  const other = await world.engine('b')
  await world.clock.advance(60_000)
  await stopped(world.clock, other)
  await world.clock.advance(2000)
  world.forget()
  await world.clock.advance(2 * intervalMs)
  // A proper stop says so, and nobody waits for it.
  expect(world.checks.get('a')?.size).toBe(20)
  await world.engine('c')
  await world.clock.advance(60_000)
  expect(healthy(leader)).toHaveLength(2)
  // This one is cut off from the store's meeting place without a word.
  const { post } = world.store
  world.store.post = () => Promise.reject(new Error('gone'))
  await world.clock.advance(5000)
  world.forget()
  await world.clock.advance(2 * intervalMs)
  expect(world.checks.get('a')?.size).toBe(20)
  if (post) world.store.post = post
  await world.end()
})

test('a standby without a network has no share and moves nobody', async () => {
  const world = createWorld(20)
  const leader = await world.engine('a')
  await world.engine('b')
  await world.clock.advance(60_000)
  world.cut.add('b')
  await world.clock.advance(60_000)
  expect(healthy(leader)).toEqual(['local'])
  world.forget()
  await world.clock.advance(2 * intervalMs)
  expect(world.checks.get('a')?.size).toBe(20)
  expect(leader.status().incidents).toEqual([])
  for (let server = 1; server <= 20; server++) expect(world.registry.on(`s${server}`)).toHaveLength(1)
  world.cut.clear()
  await world.clock.advance(60_000)
  expect(healthy(leader)).toHaveLength(2)
  await world.end()
})

test('a server that only the standby cannot reach is nobody’s reason to move', async () => {
  const world = createWorld(12)
  const leader = await world.engine('a')
  const blocked = new Set<string>()
  const only: Prober = {
    name: 'icmp',
    probe: async ({ serverId, packets }) =>
      blocked.has(serverId)
        ? { sent: packets, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'icmp' } }
        : { sent: packets, received: packets, rttMs: Array.from({ length: packets }, () => 20) },
  }
  await world.engine('b', { probers: [only] })
  await world.clock.advance(60_000)
  blocked.add('s1')
  blocked.add('s2')
  await world.clock.advance(300_000)
  expect(leader.status().incidents).toEqual([])
  // While they differ the leader goes on looking itself, so that a real failure is seen.
  world.down.add('s1')
  world.down.add('s2')
  await world.clock.advance(60_000)
  expect(
    leader
      .status()
      .incidents.map(({ serverId }) => serverId)
      .sort(),
  ).toEqual(['s1', 's2'])
  await world.end()
})

test('vantages of another region share nothing with ours: they look at every server for their own audience', async () => {
  const world = createWorld(20)
  await world.engine('a')
  await world.engine('b', { vantage: { name: 'teh-1', region: 'ir' } })
  await world.clock.advance(60_000)
  world.forget()
  await world.clock.advance(2 * intervalMs)
  expect(world.checks.get('a')?.size).toBe(20)
  expect(world.checks.get('b')?.size).toBe(20)
  await world.end()
})

test('the leader goes on looking at what it sees down itself, also while others see it up', async () => {
  const world = createWorld(20, { detect: { minAudienceVantages: 2 } })
  const leader = await world.engine('a', { vantage: { name: 'ams' } })
  await world.engine('b', { vantage: { name: 'fra' } })
  await world.engine('c', { vantage: { name: 'teh-1', region: 'ir' } })
  await world.engine('d', { vantage: { name: 'teh-2', region: 'ir' } })
  await world.clock.advance(60_000)
  // Blocked where two of them stand, and well for the users of the third region.
  for (let server = 1; server <= 4; server++) for (const name of ['a', 'b']) world.down.add(`${name}/s${server}`)
  await world.clock.advance(60_000)
  expect(leader.status().incidents.map(({ audience }) => audience)).toEqual(['*', '*', '*', '*'])
  world.down.clear()
  await world.clock.advance(120_000)
  expect(leader.status().incidents).toEqual([])
  await world.end()
})

test.for(['s1', 's2', 's3', 's4'])('without fast confirmation a leader with hardly a share still has its controls: %s', async (id) => {
  const world = createWorld(4, { detect: { confirm: null } })
  const leader = await world.engine('a', { vantage: { name: 'ams' } })
  for (const name of ['b', 'c', 'd', 'e']) await world.engine(name)
  await world.clock.advance(120_000)
  world.down.add(id)
  await world.clock.advance(180_000)
  expect(leader.status().incidents.map(({ serverId }) => serverId)).toEqual([id])
  await world.end()
})

test('a standby says who leads and since when, and hands in what its host observes', async () => {
  const world = createWorld(6, { detect: { vantages: { 'teh-1': { region: 'ir' } } } })
  const leader = await world.engine('a')
  const other = await world.engine('b')
  await world.clock.advance(20_000)
  const { state, leader: told } = other.status()
  expect(state).toBe('standby')
  expect(told).toEqual(leader.status().leader)
  const before = leader.status().observations.taken
  await other.observe([{ serverId: 's1', vantage: 'teh-1', prober: 'icmp', sentAt: world.clock.now(), sent: 1, received: 1, rttMs: [30] }])
  await world.clock.advance(3000)
  expect(leader.status().vantages.find(({ name }) => name === 'teh-1')?.samples).toBe(1)
  expect(leader.status().observations.taken).toBeGreaterThan(before)
  await world.end()
})

test('what an operator changes of the policy holds for a standby too', async () => {
  const world = createWorld(6)
  const leader = await world.engine('a')
  const other = await world.engine('b')
  await world.clock.advance(20_000)
  await leader.policy.update({ detect: { checkIntervalMs: 1000 } }, { ifVersion: leader.policy.get().version })
  await world.clock.advance(40_000)
  expect(other.policy.get().policy.detect.checkIntervalMs).toBe(1000)
  await world.end()
})

test('a standby that takes over knows the servers’ state by its own checks, and the former one becomes its member', async () => {
  const world = createWorld(120)
  const first = await world.engine('a')
  const slow = async (): Promise<readonly ServerInput[]> => {
    await new Promise<void>((resolve) => world.clock.setTimeout(resolve, 500))
    return (await world.registry.listServers({ signal: new AbortController().signal })) as readonly ServerInput[]
  }
  const second = await world.engine('b', { registry: { ...world.registry, listServers: slow } })
  await world.clock.advance(60_000)
  const told: string[] = []
  for (const engine of [second, await world.engine('c')]) engine.on('warning', ({ message }) => void told.push(message))
  await world.clock.advance(20_000)
  await stopped(world.clock, first)
  await world.clock.advance(30_000)
  expect(second.status().state).toBe('leading')
  // What was left for the former leader is no reason to warn.
  expect(told).toEqual([])
  await world.clock.advance(60_000)
  expect(healthy(second)).toHaveLength(2)
  expect(second.status().counts).toMatchObject({ up: 120 })
  await world.end()
})

test('posts that nobody understands are told of once and hurt nothing', async () => {
  const world = createWorld(6)
  const leader = await world.engine('a')
  const told: string[] = []
  leader.on('warning', ({ message }) => void told.push(message))
  for (let number = 1; number <= 20; number++) {
    for (const body of [{}, { version: 2 }, { version: 1, vantage: 5 }, { version: 1, samples: 'x' }])
      await world.store.post?.({ from: 'foreign', number: number * 4, body }, { signal: new AbortController().signal })
    await world.clock.advance(2000)
  }
  expect(told.filter((message) => message.includes('foreign'))).toHaveLength(1)
  expect(leader.status().counts).toMatchObject({ up: 6 })
  await world.end()
})
