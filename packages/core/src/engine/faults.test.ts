import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { PintailEvent, PintailEvents } from '../events.ts'
import type { ConnectionMover, LogEntry } from '../ports.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import type { Move } from '../vocabulary.ts'

const told = <T extends keyof PintailEvents>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Extract<PintailEvent, { type: T }> => event.type === type)

/** A fleet whose mover is the memory one with some methods replaced. */
const withMover = (
  change: (mover: ConnectionMover, fleet: { now: () => number }) => Partial<ConnectionMover>,
  options: FleetOptions = {},
) =>
  createFleet({
    servers: 6,
    connections: 10,
    ...options,
    replace: (parts) => ({ mover: { ...parts.mover, ...change(parts.mover, parts.clock) } }),
  })

async function outage(fleet: Fleet, ms = 120_000): Promise<void> {
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(ms)
}

test('one refused user fails alone: the others are moved and nobody is rolled back for his sake', async () => {
  const fleet = await withMover((mover) => ({
    move: async (move, ctx) => {
      if (move.connection.id === 's1-c3') throw new PintailError('rejected', 'no active configuration')
      return mover.move(move, ctx)
    },
  }))
  await outage(fleet)
  expect(fleet.registry.on('s1')).toEqual(['s1-c3'])
  expect(told(fleet, 'connection.moved')).toHaveLength(9)
  const refused = told(fleet, 'connection.move_failed')
  expect(refused.every(({ data }) => data.permanent && data.connectionId === 's1-c3')).toBe(true)
  expect(new Set(refused.map(({ data }) => data.toServerId)).size).toBe(3)
  expect(told(fleet, 'connection.unplaced').at(-1)?.data).toMatchObject({ code: 'refused_everywhere', connectionId: 's1-c3' })
  expect(told(fleet, 'evacuation.completed')[0]?.data).toMatchObject({ moved: 9, unplaced: 1 })
  await fleet.stop()
})

test('a move that times out after its effect is settled by locate and not repeated', async () => {
  let calls = 0
  const fleet = await withMover((mover) => ({
    move: async (move, ctx) => {
      calls++
      await mover.move(move, ctx)
      await new Promise(() => {})
    },
  }))
  await outage(fleet)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(calls).toBe(10)
  expect(told(fleet, 'connection.moved')).toHaveLength(10)
  await fleet.stop()
})

test('without locate an unclear move is repeated with the same key', async () => {
  const keys: string[] = []
  const fleet = await createFleet({
    servers: 6,
    connections: 1,
    replace: ({ mover }) => ({
      mover: {
        move: async (move, ctx) => {
          keys.push(move.key)
          await mover.move(move, ctx)
          if (keys.length < 3) throw new Error('connection reset')
        },
      },
    }),
  })
  await outage(fleet, 200_000)
  expect(keys).toHaveLength(3)
  expect(new Set(keys).size).toBe(1)
  expect(told(fleet, 'connection.moved')).toHaveLength(1)
  await fleet.stop()
})

test('unavailable is tried again, and the attempt rises only after a confirmed rollback', async () => {
  const keys: string[] = []
  let failing = 2
  const fleet = await withMover(
    (mover) => ({
      move: async (move, ctx) => {
        keys.push(move.key)
        if (failing-- > 0) throw new PintailError('unavailable', 'the panel restarts')
        return mover.move(move, ctx)
      },
    }),
    { connections: 1 },
  )
  await outage(fleet)
  expect(keys).toHaveLength(3)
  expect(new Set(keys).size).toBe(1)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a panel that is down for ten minutes costs ten minutes and nobody', async () => {
  const fleet = await withMover((mover, clock) => {
    const back = clock.now() + 20_000 + 600_000
    return {
      move: async (move, ctx) => {
        if (clock.now() < back) throw new PintailError('unavailable', '503')
        return mover.move(move, ctx)
      },
    }
  })
  await outage(fleet, 600_000)
  expect(fleet.registry.on('s1')).toHaveLength(10)
  await fleet.advance(180_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'connection.moved')).toHaveLength(10)
  await fleet.stop()
})

test('a target that dies during the transfer fails its migration, and the rest is planned anew elsewhere', async () => {
  let victim = ''
  const fleet = await withMover(
    (mover, clock) => ({
      move: async (move, ctx) => {
        victim ||= move.to.id
        await new Promise<void>((resolve) =>
          (clock as never as { setTimeout(f: () => void, ms: number): void }).setTimeout(resolve, 10_000),
        )
        return mover.move(move, ctx)
      },
    }),
    { servers: 10, connections: 60, capacity: 200, policy: { mode: 'auto', migration: { concurrency: 4 } } },
  )
  await fleet.advance(20_000)
  fleet.kill('s1')
  for (let wait = 0; wait < 60 && victim === ''; wait++) await fleet.advance(1000)
  fleet.kill(victim)
  await fleet.advance(900_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(fleet.registry.on(victim)).toEqual([])
  expect(told(fleet, 'migration.failed').length).toBeGreaterThan(0)
  expect(told(fleet, 'migration.failed')[0]?.data.error).toContain(victim)
  await fleet.stop()
})

test('a recovery in the middle spares those who have not begun, and keeps those who have moved', async () => {
  const fleet = await withMover(
    (mover, clock) => ({
      move: async (move, ctx) => {
        await new Promise<void>((resolve) => (clock as never as { setTimeout(f: () => void, ms: number): void }).setTimeout(resolve, 1000))
        return mover.move(move, ctx)
      },
    }),
    { connections: 50, capacity: 200, policy: { mode: 'auto', migration: { concurrency: 2 } } },
  )
  await outage(fleet, 20_000)
  fleet.revive('s1')
  await fleet.advance(30_000)
  const moved = told(fleet, 'connection.moved').length
  expect(moved).toBeGreaterThan(0)
  expect(fleet.registry.on('s1')).toHaveLength(50 - moved)
  const recoveredAt = told(fleet, 'server.verdict_changed').findLast(({ data }) => data.serverId === 's1')?.at ?? 0
  expect(told(fleet, 'move.started').every(({ at }) => at <= recoveredAt)).toBe(true)
  expect(told(fleet, 'evacuation.cancelled')).toHaveLength(1)
  await fleet.advance(120_000)
  expect(told(fleet, 'connection.moved')).toHaveLength(moved)
  await fleet.stop()
})

test('a move that cannot be cleared up is undone alone, or listed as residue', async () => {
  for (const [rollback, residue] of [
    [async () => {}, 0],
    [
      async () => {
        throw new Error('the panel is gone')
      },
      1,
    ],
  ] as const) {
    const fleet = await withMover(
      () => ({
        move: async () => {
          throw new Error('reset')
        },
        locate: async () => {
          throw new Error('no idea')
        },
        rollback,
      }),
      { connections: 1, policy: { mode: 'auto', migration: { maxRetries: 0 } } },
    )
    await outage(fleet, 60_000)
    const [failed] = told(fleet, 'migration.failed')
    expect(failed?.data).toMatchObject({ rollbackSuccess: residue === 0 })
    expect(failed?.data.residue).toHaveLength(residue)
    await fleet.stop()
  }
})

test('what verify does not confirm is not called moved', async () => {
  let usable = false
  const fleet = await withMover(() => ({ verify: async () => usable }), { connections: 3 })
  await outage(fleet, 60_000)
  expect(told(fleet, 'connection.moved')).toHaveLength(0)
  usable = true
  await fleet.advance(300_000)
  expect(told(fleet, 'connection.moved')).toHaveLength(3)
  await fleet.stop()
})

test('a revoke that fails completes the migration and stays an obligation until it succeeds', async () => {
  let reachable = false
  const revoked: Move[] = []
  const fleet = await withMover(() => ({
    complete: async (move) => {
      if (!reachable) throw new Error('the dead server does not answer')
      revoked.push(move)
    },
  }))
  await outage(fleet)
  expect(told(fleet, 'evacuation.completed')).toHaveLength(1)
  expect(fleet.pintail.status().pendingRevokes).toBe(10)
  expect(told(fleet, 'revoke.pending')).toHaveLength(10)
  reachable = true
  await fleet.advance(120_000)
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  expect(revoked).toHaveLength(10)
  await fleet.stop()
})

test('a living source keeps its grants for the grace, unless the mover has seen the user arrive', async () => {
  for (const [confirmation, expected] of [
    ['applied', 0],
    ['seen', 10],
  ] as const) {
    let revoked = 0
    const fleet = await withMover(
      () => ({
        confirmation,
        complete: async () => {
          revoked++
        },
      }),
      { policy: { mode: 'auto', detect: { checkIntervalMs: 60_000 }, migration: { revokeGraceMs: 3_600_000 } } },
    )
    await fleet.advance(20_000)
    const draining = fleet.pintail.drain('s1')
    await fleet.advance(60_000)
    await draining
    expect(fleet.registry.on('s1')).toEqual([])
    expect(revoked, confirmation).toBe(expected)
    await fleet.advance(2 * 3_600_000)
    expect(revoked).toBe(10)
    await fleet.stop()
  }
})

test('every listener may throw or reject on every event: the engine goes on and says so', async () => {
  const fleet = await createFleet({ servers: 6 })
  fleet.pintail.on('*', () => {
    throw new Error('thrown')
  })
  fleet.pintail.on('*', async () => {
    throw new Error('rejected')
  })
  fleet.pintail.on('connection.moved', () => Promise.reject(new Error('rejected')))
  fleet.pintail.on('warning', () => {
    throw new Error('thrown by the listener of warnings')
  })
  await outage(fleet, 60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'warning').filter(({ data }) => data.code === 'listener_failed').length).toBeGreaterThan(0)
  await fleet.stop()
})

test('a log sink that is down for a while misses nothing, keeps the order and repeats no id', async () => {
  const written: LogEntry[] = []
  let down = true
  const fleet = await createFleet({
    servers: 6,
    replace: () => ({
      log: {
        write: async (entry) => {
          if (down) throw new Error('ECONNREFUSED')
          written.push(entry)
        },
      },
    }),
  })
  await outage(fleet, 60_000)
  expect(fleet.registry.on('s1')).toEqual([])
  down = false
  await fleet.advance(120_000)
  const moved = written.filter(({ type }) => type === 'connection.moved')
  expect(moved).toHaveLength(10)
  expect(moved[0]).toMatchObject({ success: true, fromServerId: 's1', reason: 'server-down' })
  expect(new Set(written.map(({ id }) => id)).size).toBe(written.length)
  const order = written.map(({ id }) => Number(id.slice('journal-'.length)))
  expect(order).toEqual(order.map((_, index) => index + 1))
  await fleet.stop()
})

test('a store that stalls stops moves before their effect, and the engine goes on when it answers', async () => {
  let stalled = false
  let calls = 0
  const fleet = await createFleet({
    servers: 6,
    replace: ({ store, mover }) => ({
      store: {
        ...store,
        commit: async (batch, ctx) => {
          if (stalled) throw new PintailError('unavailable', 'disk full')
          return store.commit(batch, ctx)
        },
      },
      mover: {
        ...mover,
        move: async (move, ctx) => {
          calls++
          return mover.move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  stalled = true
  fleet.kill('s1')
  await fleet.advance(120_000)
  expect(calls).toBe(0)
  expect(fleet.pintail.status().storeTrouble).toContain('disk full')
  stalled = false
  await fleet.advance(60_000)
  expect(calls).toBe(10)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a commit whose answer was lost is found again instead of refused', async () => {
  let lose = 0
  const fleet = await createFleet({
    servers: 6,
    replace: ({ store }) => ({
      store: {
        ...store,
        commit: async (batch, ctx) => {
          const answer = await store.commit(batch, ctx)
          if (batch.writes.length > 0 && lose++ % 3 === 0) throw new Error('ECONNRESET')
          return answer
        },
      },
    }),
  })
  await outage(fleet, 200_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(told(fleet, 'leader.lost')).toHaveLength(0)
  await fleet.stop()
})
