import { createPintail, memoryMover, memoryRegistry, type PolicyInput } from '@pintail/core'
import { fakeClock, seededRandom } from '@pintail/core/testing'
import { afterEach, expect, test } from 'vitest'
import { moveLeftovers } from './leftovers.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

interface World {
  readonly dead: readonly string[]
  readonly offline?: readonly string[]
  readonly servers?: number
  readonly capacity?: number
  readonly policy?: PolicyInput
}

/** Servers s1, s2, … with two users each, and an engine that has just been started. */
async function world({ dead, offline = [], servers = 4, capacity = 100, policy = {} }: World) {
  const clock = fakeClock()
  const down = new Set(dead)
  const ids = Array.from({ length: servers }, (_, index) => `s${index + 1}`)
  const registry = memoryRegistry({
    servers: ids.map((id) => ({ id, host: '127.0.0.1', capacity, status: offline.includes(id) ? 'offline' : 'online' })),
    connections: Object.fromEntries(ids.map((id) => [id, [{ id: `${id}-a` }, { id: `${id}-b` }]])),
  })
  const lines: string[] = []
  const say = (_: object, text: string) => void lines.push(text)
  const engine = createPintail({
    registry,
    mover: memoryMover(registry),
    clock,
    random: seededRandom(7),
    probers: [
      {
        name: 'fake',
        probe: async ({ serverId, packets }) =>
          down.has(serverId)
            ? { sent: packets, received: 0, rttMs: [], failure: { kind: 'no_reply', layer: 'fake' } }
            : { sent: packets, received: packets, rttMs: Array.from({ length: packets }, () => 1) },
      },
    ],
    policy: { mode: 'auto', ...policy },
  })
  const leftovers = moveLeftovers({ engine, clock, logger: { debug: say, info: say, warn: say, error: say } })
  await engine.start()
  open.push(async () => {
    leftovers[Symbol.dispose]()
    await engine.stop()
    expect(clock.pending).toBe(0)
  })
  return { clock, registry, engine, down, lines, users: (id: string) => registry.on(id).length }
}

test('users of a server that was inactive at the start and is dead are moved, and its status stays', async () => {
  const { clock, users, lines, engine } = await world({ dead: ['s1'], offline: ['s1'] })
  await clock.advance(60_000)
  expect(users('s1')).toBe(0)
  expect(engine.status().servers.find(({ serverId }) => serverId === 's1')?.status).toBe('offline')
  expect(lines.filter((line) => line.includes('2 users'))).toHaveLength(1)
})

test('an inactive server that lives keeps its users', async () => {
  const { clock, users } = await world({ dead: [], offline: ['s1'] })
  await clock.advance(300_000)
  expect(users('s1')).toBe(2)
})

test('one that dies later counts as well, and one that somebody sets inactive later does not', async () => {
  const { clock, users, down, registry } = await world({ dead: [], offline: ['s1'] })
  await clock.advance(60_000)
  await registry.setServerStatus({ id: 's2' }, 'offline')
  await clock.advance(60_000)
  down.add('s1')
  down.add('s2')
  await clock.advance(120_000)
  expect([users('s1'), users('s2')]).toEqual([0, 2])
})

test('nobody is moved while nobody else answers, or where too few servers could tell', async () => {
  const alone = await world({ dead: ['s1', 's2', 's3', 's4'], offline: ['s1'] })
  await alone.clock.advance(300_000)
  expect(alone.users('s1')).toBe(2)
  const two = await world({ dead: ['s1'], offline: ['s1'], servers: 2 })
  await two.clock.advance(300_000)
  expect(two.users('s1')).toBe(2)
})

test('where a guard forbids it, it is told once and tried again until it is allowed', async () => {
  const { clock, users, down, lines } = await world({ dead: ['s1', 's2', 's3'], offline: ['s1'] })
  await clock.advance(120_000)
  expect(users('s1')).toBe(2)
  expect(lines.filter((line) => line.includes('nobody is moved yet'))).toHaveLength(1)
  down.delete('s2')
  down.delete('s3')
  await clock.advance(120_000)
  expect(users('s1')).toBe(0)
})

test('where nobody has room it is tried again', async () => {
  const { clock, users, registry } = await world({ dead: ['s1'], offline: ['s1'], capacity: 2 })
  await clock.advance(60_000)
  expect(users('s1')).toBe(2)
  registry.putServer({ id: 's9', host: '127.0.0.1', capacity: 100 })
  await clock.advance(120_000)
  expect(users('s1')).toBe(0)
})
