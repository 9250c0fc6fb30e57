import { expect, test } from 'vitest'
import type { PintailEvent } from '../events.ts'
import type { ClientNotifier, ConnectionMover } from '../ports.ts'
import { accessOf, withoutAccess } from '../rows.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import type { Json, Move } from '../vocabulary.ts'

type Parts = Parameters<NonNullable<FleetOptions['replace']>>[0]
const told = <T extends PintailEvent['type']>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Extract<PintailEvent, { type: T }> => event.type === type)
const pause = (clock: Parts['clock'], ms: number) => new Promise<void>((resolve) => clock.setTimeout(resolve, ms))

interface Delivery {
  readonly move: Move
  readonly access: Json
  readonly at: number
}

/** Six servers, three users on `s1`, a panel that hands out keys, and a notifier. */
async function fleetWith(
  deliver: (delivery: Delivery, parts: Parts) => unknown,
  change: (mover: ConnectionMover, parts: Parts) => Partial<ConnectionMover> = () => ({}),
  options: FleetOptions = {},
) {
  const deliveries: Delivery[] = []
  const fleet = await createFleet({
    connections: { s1: [{ id: 'u1' }, { id: 'u2' }, { id: 'u3' }] },
    policy: { mode: 'auto', migration: { revokeGraceMs: 3_600_000, timeoutMs: 5000 } },
    ...options,
    replace: (parts) => {
      const notifier: ClientNotifier = {
        async deliver(move, access) {
          const delivery = { move, access, at: parts.clock.now() }
          deliveries.push(delivery)
          await deliver(delivery, parts)
        },
      }
      const move: ConnectionMover['move'] = async (one, ctx) => {
        await parts.mover.move(one, ctx)
        return { config: `WG-SECRET-${one.connection.id}`, endpoint: one.to.host }
      }
      return { notifier, mover: { ...parts.mover, move, ...change({ ...parts.mover, move }, parts) } }
    },
  })
  await fleet.advance(20_000)
  return { fleet, deliveries }
}

async function leave(fleet: Fleet, ms = 30_000): Promise<void> {
  await fleet.pintail.execute(await fleet.pintail.plan({ drain: ['s1'], to: 's2' }))
  await fleet.advance(ms)
}

test('each user is told after his grant is verified and before his old one is taken back', async () => {
  const order: string[] = []
  const note = (what: string, move?: Move) => void order.push(move ? `${what} ${move.connection.id}` : what)
  const { fleet, deliveries } = await fleetWith(
    ({ move }) => note('deliver', move),
    (mover) => ({
      confirmation: 'seen',
      prepare: async () => note('prepare'),
      move: async (move, ctx) => {
        note('move', move)
        return mover.move(move, ctx)
      },
      verify: async (move) => {
        note('verify', move)
        return true
      },
      complete: async (move) => note('complete', move),
    }),
  )
  await leave(fleet)
  expect(order[0]).toBe('prepare')
  for (const user of ['u1', 'u2', 'u3'])
    expect(order.filter((line) => line.endsWith(user)).map((line) => line.split(' ')[0])).toEqual(['move', 'verify', 'deliver', 'complete'])
  expect(deliveries.map(({ access }) => access)).toEqual(
    ['u1', 'u2', 'u3'].map((id) => ({ config: `WG-SECRET-${id}`, endpoint: '10.0.0.1' })),
  )
  expect(deliveries.map(({ move }) => move.to.id)).toEqual(['s2', 's2', 's2'])
  await fleet.stop()
})

test('an access is never kept, logged or told, also not by the error of the notifier', async () => {
  const lines: unknown[] = []
  const { fleet } = await fleetWith(({ access }) => {
    throw new Error(`the phone of the user refused ${JSON.stringify(access)}`)
  })
  fleet.pintail.on('*', (event) => lines.push(event))
  await leave(fleet, 120_000)
  expect(told(fleet, 'connection.undelivered')).toHaveLength(3)
  expect(told(fleet, 'connection.undelivered')[0]?.data.error).toBe('the phone of the user refused {"config":"***","endpoint":"***"}')
  const ctx = { signal: new AbortController().signal }
  const kept = await Promise.all(
    (['migration', 'move', 'revoke', 'evacuation', 'decision'] as const).map((kind) => fleet.store.list(kind, {}, ctx)),
  )
  const journal = await fleet.store.readJournal({ after: 0, limit: 10_000 }, ctx)
  expect(JSON.stringify([lines, kept, journal, fleet.log, fleet.pintail.status()])).not.toContain('WG-SECRET')
  await fleet.stop()
})

test('who cannot be told is moved all the same, the record says how many, and the living source waits for the whole grace', async () => {
  const revoked: string[] = []
  const { fleet, deliveries } = await fleetWith(
    ({ move }) => {
      if (move.connection.id !== 'u2') throw new Error('the phone is off')
    },
    () => ({ confirmation: 'seen', complete: async (move) => void revoked.push(move.connection.id) }),
  )
  await leave(fleet, 120_000)
  expect(fleet.registry.on('s2')).toEqual(['u1', 'u2', 'u3'])
  expect(deliveries.filter(({ move }) => move.connection.id === 'u1')).toHaveLength(3)
  const undelivered = told(fleet, 'connection.undelivered').map(({ data }) => data)
  expect(undelivered.map(({ connectionId, serverId, error }) => [connectionId, serverId, error]).sort()).toEqual([
    ['u1', 's2', 'the phone is off'],
    ['u3', 's2', 'the phone is off'],
  ])
  const { migrations } = await fleet.pintail.migrations.list()
  expect(migrations[0]).toMatchObject({ status: 'completed', warnings: ['2 users could not be told where to find the new server'] })
  expect(revoked).toEqual(['u2'])
  await fleet.advance(3_600_000)
  expect(revoked.sort()).toEqual(['u1', 'u2', 'u3'])
  await fleet.stop()
})

test('a notifier that hangs is given up after its time, and undoes nothing', async () => {
  const { fleet } = await fleetWith(() => new Promise(() => {}))
  await leave(fleet, 60_000)
  expect(fleet.registry.on('s2')).toEqual(['u1', 'u2', 'u3'])
  expect(told(fleet, 'connection.undelivered')[0]?.data.error).toContain('did not answer within 5000 ms')
  expect(told(fleet, 'migration.completed')).toHaveLength(1)
  await fleet.stop()
})

test('after a crash between move and delivery the same key is repeated, and its access delivered', async () => {
  const keys: string[] = []
  let hangs = true
  const { fleet, deliveries } = await fleetWith(
    () => (hangs ? new Promise(() => {}) : null),
    (mover) => ({
      move: async (move, ctx) => {
        keys.push(move.key)
        return mover.move(move, ctx)
      },
    }),
    { connections: { s1: [{ id: 'u1' }] } },
  )
  await leave(fleet, 1000)
  expect(deliveries).toHaveLength(1)
  expect(told(fleet, 'connection.moved')).toHaveLength(0)
  hangs = false
  const again = await fleet.crash()
  await again.advance(60_000)
  expect([keys.length, new Set(keys).size]).toEqual([2, 1])
  expect(deliveries.map(({ access }) => access)).toEqual(
    Array.from({ length: 2 }, () => ({ config: 'WG-SECRET-u1', endpoint: '10.0.0.1' })),
  )
  expect(told(again, 'connection.moved')).toHaveLength(1)
  expect(again.registry.on('s2')).toEqual(['u1'])
  await again.stop()
})

test('a move whose answer was lost is repeated for its access; only when that fails is the user told without one', async () => {
  for (const lost of [1, 3]) {
    let calls = 0
    const { fleet, deliveries } = await fleetWith(
      () => null,
      (mover) => ({
        move: async (move, ctx) => {
          const access = await mover.move(move, ctx)
          if (calls++ < lost) throw new Error('socket hang up')
          return access
        },
      }),
      { connections: { s1: [{ id: 'u1' }] } },
    )
    await leave(fleet)
    expect(deliveries.map(({ access }) => access)).toEqual([lost === 1 ? { config: 'WG-SECRET-u1', endpoint: '10.0.0.1' } : null])
    expect(told(fleet, 'connection.moved')).toHaveLength(1)
    await fleet.stop()
  }
})

test('a slow notifier slows no move: the next call starts while others are being told', async () => {
  const starts: number[] = []
  let atOnce = 0
  let most = 0
  const { fleet, deliveries } = await fleetWith(
    async (_, { clock }) => {
      most = Math.max(most, ++atOnce)
      await pause(clock, 4000)
      atOnce--
    },
    (mover, { clock }) => ({
      move: async (move, ctx) => {
        starts.push(clock.now())
        await pause(clock, 100)
        return mover.move(move, ctx)
      },
    }),
    {
      connections: { s1: Array.from({ length: 20 }, (_, index) => ({ id: `u${index + 1}` })) },
      policy: { mode: 'auto', migration: { concurrency: 4, timeoutMs: 5000 } },
    },
  )
  await leave(fleet, 60_000)
  expect(Math.max(...starts) - Math.min(...starts)).toBeLessThan(1000)
  expect(deliveries).toHaveLength(20)
  expect(most).toBe(4)
  await fleet.stop()
})

test('who is brought back is told that he stays: the move the other way, without an access', async () => {
  const { fleet, deliveries } = await fleetWith(
    ({ move }) => {
      if (move.connection.id === 'u2') throw new Error('the phone is off')
    },
    (mover, { clock }) => ({
      move: async (move, ctx) => {
        await pause(clock, 4000)
        return mover.move(move, ctx)
      },
    }),
    {
      connections: { s1: Array.from({ length: 8 }, (_, index) => ({ id: `u${index + 1}` })) },
      policy: { mode: 'auto', migration: { concurrency: 1 } },
    },
  )
  await leave(fleet, 12_000)
  fleet.kill('s2')
  await fleet.advance(30_000)
  expect(fleet.registry.on('s1')).toHaveLength(8)
  const [there, back] = [deliveries.filter(({ move }) => move.to.id === 's2'), deliveries.filter(({ move }) => move.to.id === 's1')]
  expect(back.length).toBeGreaterThan(2)
  // Whoever never heard of the target need not be told that he stays.
  const heard = new Set(there.map(({ move }) => move.connection.id).filter((id) => id !== 'u2'))
  expect(new Set(back.map(({ move }) => move.connection.id))).toEqual(heard)
  expect(back.every(({ move, access }) => move.from.id === 's2' && access === null && move.key.endsWith('/1/undo'))).toBe(true)
  await fleet.stop()
})

test('a stop in the middle of a delivery leaves it to the next leader', async () => {
  let failing = true
  const { fleet, deliveries } = await fleetWith(
    () => {
      if (failing) throw new Error('the phone is off')
    },
    () => ({}),
    {
      connections: { s1: [{ id: 'u1' }] },
      policy: { mode: 'auto', migration: { backoffMs: 20_000 } },
    },
  )
  await leave(fleet, 1000)
  await fleet.stop()
  failing = false
  const again = await fleet.crash()
  await again.advance(60_000)
  expect(deliveries.length).toBe(2)
  expect(told(again, 'connection.undelivered')).toHaveLength(0)
  expect(told(again, 'connection.moved')).toHaveLength(1)
  await again.stop()
})

test('an access is plain JSON of at most 64 KiB, or null', () => {
  class Config {
    readonly key = 'k'
  }
  const loop: Record<string, unknown> = {}
  loop.self = loop
  for (const plain of ['text', 7, true, null, [], { a: [{ b: null }] }, Object.assign(Object.create(null), { a: 1 })])
    expect(accessOf(plain)).toEqual(plain)
  for (const other of [undefined, () => {}, new Date(0), new Config(), Number.NaN, { a: undefined }, 1n, loop, 'x'.repeat(65_536)])
    expect(accessOf(other)).toBe(null)
  expect(accessOf('x'.repeat(65_534))).toHaveLength(65_534)
  expect(withoutAccess('bad abcd in abcd, a', { key: 'abcd', short: 'a', list: [1, null] })).toBe('bad *** in ***, a')
})
