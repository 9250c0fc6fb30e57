import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { PintailEvent } from '../events.ts'
import type { ConnectionMover } from '../ports.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import type { Move } from '../vocabulary.ts'

type Parts = Parameters<NonNullable<FleetOptions['replace']>>[0]
type Mutable<T> = { -readonly [K in keyof T]: T[K] }
const told = <T extends PintailEvent['type']>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Extract<PintailEvent, { type: T }> => event.type === type)
const pause = (clock: Parts['clock'], ms: number) => new Promise<void>((resolve) => clock.setTimeout(resolve, ms))
const reserved = (fleet: Fleet) => fleet.pintail.status().servers.map((server) => server.reserved)
const nothing = [0, 0, 0, 0, 0, 0]

/** 20 users on `s1`, one move a second at a time; a panel that moves rows of its books. */
async function slowFleet(change: (mover: Mutable<ConnectionMover>, parts: Parts) => void = () => {}, options: FleetOptions = {}) {
  const fleet = await createFleet({
    connections: { s1: Array.from({ length: 20 }, (_, index) => ({ id: `u${index + 1}` })) },
    policy: { mode: 'auto', migration: { concurrency: 1, revokeGraceMs: 3_600_000 } },
    ...options,
    replace: (parts) => {
      const mover: Mutable<ConnectionMover> = { ...parts.mover }
      mover.move = async (move, ctx) => {
        await pause(parts.clock, 1000)
        return parts.mover.move(move, ctx)
      }
      change(mover, parts)
      return { mover, ...options.replace?.(parts) }
    },
  })
  await fleet.advance(20_000)
  return fleet
}

/** Everybody on `s1` is to go to `s2`, by a person's wish, while `s1` lives. */
async function leave(fleet: Fleet): Promise<void> {
  await fleet.pintail.execute(await fleet.pintail.plan({ drain: ['s1'], to: 's2' }))
}

/** Until the condition holds, for at most an hour. */
async function until(fleet: Fleet, condition: () => boolean): Promise<void> {
  for (let passed = 0; !condition() && passed < 3_600_000; passed += 100) await fleet.advance(100)
  expect(condition()).toBe(true)
}
const failed = (fleet: Fleet) => told(fleet, 'migration.failed')
const undone = (fleet: Fleet) => told(fleet, 'connection.move_failed').filter(({ data }) => data.rolledBack)

// ------------------------------------------------------------------------------------------------- rollback by the source

test('the target dies and the source lives: everybody is on the source again when the migration says failed', async () => {
  let onSource = -1
  const fleet = await slowFleet()
  fleet.pintail.on('migration.failed', () => {
    onSource = fleet.registry.on('s1').length
  })
  await leave(fleet)
  await until(fleet, () => fleet.registry.on('s2').length === 5)
  fleet.kill('s2')
  await until(fleet, () => failed(fleet).length > 0)
  expect(onSource).toBe(20)
  const moved = told(fleet, 'connection.moved').length
  expect(moved).toBeGreaterThan(4)
  expect(undone(fleet)).toHaveLength(moved)
  expect(undone(fleet)[0]?.data).toMatchObject({ permanent: false, error: 'undone: target s2 failed' })
  expect(failed(fleet)[0]?.data).toMatchObject({ rollbackSuccess: true, residue: [] })
  const { migrations } = await fleet.pintail.migrations.list({ status: ['failed'] })
  expect(migrations[0]).toMatchObject({ connectionsMoved: 0, connectionsFailed: moved })
  await fleet.advance(60_000)
  expect(reserved(fleet)).toEqual(nothing)
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  await fleet.stop()
})

test('who was undone is planned anew: a drain ends with everybody on servers that live', async () => {
  const fleet = await slowFleet(undefined, { servers: 3 })
  await fleet.pintail.drain('s1')
  await until(fleet, () => fleet.registry.on('s2').length === 2)
  fleet.kill('s2')
  await fleet.advance(300_000)
  expect(fleet.registry.on('s1')).toEqual([])
  expect(fleet.registry.on('s2')).toEqual([])
  expect(undone(fleet).length).toBeGreaterThan(0)
  const again = told(fleet, 'connection.moved').map(({ data }) => data.connectionId)
  expect(new Set(again).size).toBe(20)
  expect(again.length).toBe(20 + undone(fleet).length)
  expect(reserved(fleet)).toEqual([0, 0, 0])
  await fleet.stop()
})

test('the target dies and the source is dead: what has moved stays moved, the rest is planned anew', async () => {
  const rollbacks: string[] = []
  const fleet = await slowFleet(
    (mover, { mover: own }) => {
      mover.rollback = async (move, ctx) => {
        rollbacks.push(move.connection.id)
        await own.rollback?.(move, ctx)
      }
    },
    { servers: 10 },
  )
  fleet.kill('s1')
  await until(fleet, () => fleet.registry.on('s2').length === 2)
  fleet.kill('s2')
  await until(fleet, () => failed(fleet).length > 0)
  expect(failed(fleet)[0]?.data).toMatchObject({ rollbackSuccess: null, residue: [] })
  await fleet.advance(300_000)
  expect(rollbacks).toEqual([])
  expect(undone(fleet)).toHaveLength(0)
  expect(fleet.registry.on('s1')).toEqual([])
  // Those who had arrived on s2 leave it by its own incident.
  expect(fleet.registry.on('s2')).toEqual([])
  expect(reserved(fleet)).toEqual([...nothing, 0, 0, 0, 0])
  await fleet.stop()
})

test('nobody is undone whom the host has moved elsewhere meanwhile', async () => {
  const fleet = await slowFleet()
  await leave(fleet)
  await until(fleet, () => fleet.registry.on('s2').length === 5)
  fleet.registry.assign({ id: 'u1' }, 's3')
  fleet.kill('s2')
  await until(fleet, () => failed(fleet).length > 0)
  expect(fleet.registry.homeOf('u1')).toBe('s3')
  expect(fleet.registry.on('s1')).toHaveLength(19)
  expect(told(fleet, 'connection.skipped').find(({ data }) => data.connectionId === 'u1')?.data.why).toBe('moved elsewhere meanwhile')
  await fleet.advance(60_000)
  expect(reserved(fleet)).toEqual(nothing)
  await fleet.stop()
})

test('who has moved is planned by nobody else before his migration has ended, and comes back with the others', async () => {
  const open = new Map<string, number>()
  let most = 0
  const count = async (id: string, work: () => PromiseLike<unknown> | undefined) => {
    open.set(id, (open.get(id) ?? 0) + 1)
    most = Math.max(most, open.get(id) ?? 0)
    await work()
    open.set(id, (open.get(id) ?? 0) - 1)
  }
  const fleet = await slowFleet((mover, { mover: own, clock }) => {
    mover.move = (move, ctx) =>
      count(move.connection.id, async () => {
        await pause(clock, 1000)
        await own.move(move, ctx)
      })
    mover.rollback = (move, ctx) =>
      count(move.connection.id, async () => {
        await pause(clock, 3000)
        await own.rollback?.(move, ctx)
      })
  })
  await leave(fleet)
  await until(fleet, () => fleet.registry.on('s2').length === 5)
  // A person wants one of them off s2 again while the others are still on their way; then s2 dies.
  const plan = await fleet.pintail.plan({ drain: ['s2'], connections: ['u1'], to: 's4' })
  expect(plan.unplaced.map(({ connectionId, code }) => [connectionId, code])).toEqual([['u1', 'being_moved']])
  fleet.kill('s2')
  await fleet.advance(300_000)
  expect(most).toBe(1)
  expect(fleet.registry.on('s2')).toEqual([])
  expect(fleet.registry.on('s1')).toHaveLength(20)
  expect(reserved(fleet)).toEqual(nothing)
  await fleet.stop()
})

test('without rollback those on the dead target are listed as residue, and nothing more is promised', async () => {
  const fleet = await slowFleet((mover) => {
    mover.rollback = undefined as never
  })
  await leave(fleet)
  await until(fleet, () => fleet.registry.on('s2').length === 5)
  fleet.kill('s2')
  await until(fleet, () => failed(fleet).length > 0)
  const moved = told(fleet, 'connection.moved').map(({ data }) => data.connectionId)
  expect(failed(fleet)[0]?.data).toMatchObject({ rollbackSuccess: false, residue: moved })
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  await fleet.advance(120_000)
  expect(reserved(fleet)).toEqual(nothing)
  await fleet.stop()
})

test('a cancelled migration keeps what has moved, also when its target dies after that', async () => {
  const fleet = await slowFleet()
  await leave(fleet)
  await until(fleet, () => fleet.registry.on('s2').length === 5)
  const [migration] = fleet.pintail.status().migrations
  await fleet.pintail.migrations.cancel(migration?.id ?? '')
  await fleet.advance(5000)
  const moved = fleet.registry.on('s2').length
  expect(moved).toBeGreaterThan(4)
  fleet.set('s2', 'down')
  await fleet.advance(1000)
  expect(undone(fleet)).toHaveLength(0)
  expect(await fleet.pintail.migrations.get(migration?.id ?? '')).toMatchObject({ status: 'cancelled', connectionsMoved: moved })
  await fleet.stop()
})

test('after the first revoke there is no way back: a target that dies then is left by its own incident', async () => {
  const fleet = await slowFleet((mover) => {
    mover.confirmation = 'seen'
    mover.complete = async () => {}
  })
  await leave(fleet)
  await until(fleet, () => told(fleet, 'migration.completed').length > 0)
  fleet.kill('s2')
  await fleet.advance(120_000)
  expect(undone(fleet)).toHaveLength(0)
  expect(fleet.registry.on('s2')).toEqual([])
  await fleet.stop()
})

test.for([1, 700, 1500, 2100, 3000, 5000, 9000])(
  'an engine that is killed %i ms into undoing finishes it after its restart',
  async (ms) => {
    const keys: string[] = []
    const make = (mover: Mutable<ConnectionMover>, { mover: own, clock }: Parts) => {
      mover.rollback = async (move, ctx) => {
        keys.push(`${move.connection.id} ${move.attempt}`)
        await pause(clock, 1000)
        await own.rollback?.(move, ctx)
        await pause(clock, 1000)
      }
    }
    let fleet = await slowFleet(make, {
      policy: { mode: 'auto', migration: { concurrency: 1, concurrencyPerTarget: 1, timeoutMs: 5000 } },
    })
    await leave(fleet)
    await until(fleet, () => fleet.registry.on('s2').length === 5)
    fleet.kill('s2')
    await until(fleet, () => keys.length > 0)
    await fleet.advance(ms)
    fleet = await fleet.crash()
    await until(fleet, () => failed(fleet).length > 0)
    expect(failed(fleet)[0]?.data).toMatchObject({ rollbackSuccess: true, residue: [] })
    expect(fleet.registry.on('s1')).toHaveLength(20)
    expect(new Set(keys.map((key) => key.split(' ')[1]))).toEqual(new Set(['1']))
    await fleet.advance(60_000)
    expect(reserved(fleet)).toEqual(nothing)
    await fleet.stop()
  },
)

test('the source dies while others are being brought back to it: nobody more is sent there', async () => {
  const at: number[] = []
  const fleet = await slowFleet(
    (mover, { mover: own, clock }) => {
      mover.rollback = async (move, ctx) => {
        at.push(clock.now())
        await pause(clock, 10_000)
        await own.rollback?.(move, ctx)
      }
    },
    { servers: 10, policy: { mode: 'auto', migration: { concurrency: 1, concurrencyPerTarget: 1 } } },
  )
  await leave(fleet)
  await until(fleet, () => fleet.registry.on('s2').length === 8)
  fleet.kill('s2')
  await until(fleet, () => at.length > 0)
  fleet.kill('s1')
  await fleet.advance(400_000)
  const downAt = told(fleet, 'server.verdict_changed').find(({ data }) => data.serverId === 's1' && data.verdict === 'down')?.at ?? 0
  expect(at.every((time) => time <= downAt)).toBe(true)
  expect(at.length).toBeLessThan(8)
  for (const server of ['s1', 's2']) expect(fleet.registry.on(server)).toEqual([])
  expect(reserved(fleet)).toEqual([...nothing, 0, 0, 0, 0])
  await fleet.stop()
})

// -------------------------------------------------------------------------------------------------------------- residue

test('what could not be undone is owed: tried until it succeeds, also after a restart, and told', async () => {
  let reachable = false
  const make = (mover: Mutable<ConnectionMover>, { mover: own }: Parts) => {
    mover.rollback = async (move, ctx) => {
      if (!reachable) throw new PintailError('unavailable', 's2 does not answer the panel')
      await own.rollback?.(move, ctx)
    }
  }
  // Its users may not leave s2 otherwise: then the obligation alone brings them home.
  let fleet = await slowFleet(make, { policy: { mode: { default: 'auto', 'server-down': 'observe' }, migration: { concurrency: 1 } } })
  await leave(fleet)
  await until(fleet, () => fleet.registry.on('s2').length === 5)
  fleet.kill('s2')
  await until(fleet, () => failed(fleet).length > 0)
  const moved = told(fleet, 'connection.moved').length
  expect(failed(fleet)[0]?.data).toMatchObject({ rollbackSuccess: false })
  expect(failed(fleet)[0]?.data.residue).toHaveLength(moved)
  expect(fleet.pintail.status().pendingRevokes).toBe(moved)
  expect(told(fleet, 'revoke.pending').map(({ data }) => data.serverId)).toEqual(Array.from({ length: moved }, () => 's2'))
  fleet = await fleet.crash()
  await fleet.advance(60_000)
  expect(fleet.pintail.status().pendingRevokes).toBe(moved)
  reachable = true
  await fleet.advance(120_000)
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  expect(told(fleet, 'revoke.settled')).toHaveLength(moved)
  expect(fleet.registry.on('s1')).toHaveLength(20)
  expect(reserved(fleet)).toEqual(nothing)
  await fleet.stop()
})

test('who is moved off the target by another evacuation is owed nothing there any more', async () => {
  const rollbacks: Move[] = []
  const fleet = await slowFleet(
    (mover) => {
      mover.complete = async () => {}
      mover.rollback = async (move) => {
        rollbacks.push(move)
        throw new PintailError('unavailable', 's2 does not answer the panel')
      }
    },
    { servers: 10 },
  )
  await leave(fleet)
  await until(fleet, () => fleet.registry.on('s2').length === 5)
  fleet.kill('s2')
  await fleet.advance(300_000)
  // Its own incident has brought them to servers that live.
  expect(fleet.registry.on('s2')).toEqual([])
  const tries = rollbacks.length
  await fleet.advance(600_000)
  expect(rollbacks).toHaveLength(tries)
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  await fleet.stop()
})

test('a user is never taken off a target while the server where he belongs is dead (I1)', async () => {
  const rolledBack: string[] = []
  let blind = true
  const fleet = await slowFleet(
    (mover, { registry }) => {
      mover.fencing = 'none'
      mover.move = async ({ connection, to }) => {
        registry.assign({ id: connection.rawId }, to.id)
        throw new Error('socket hang up')
      }
      mover.locate = async (move) => {
        if (blind) throw new Error('no idea')
        return registry.homeOf(move.connection.id) === move.to.id ? 'on_target' : 'on_source'
      }
      mover.rollback = async ({ connection, from }) => {
        rolledBack.push(connection.id)
        if (blind) throw new Error('no idea')
        registry.assign({ id: connection.rawId }, from.id)
      }
    },
    { connections: { s1: [{ id: 'u1' }] }, policy: { mode: 'auto', migration: { maxRetries: 0 } } },
  )
  fleet.kill('s1')
  await until(fleet, () => failed(fleet).length > 0)
  const [target] = failed(fleet)
  expect(target?.data.residue).toEqual(['u1'])
  const home = fleet.registry.homeOf('u1')
  expect(home).not.toBe('s1')
  const tries = rolledBack.length
  blind = false
  await fleet.advance(600_000)
  // His home is there by the host's own books, and it is the only one he has: nothing is owed.
  expect(fleet.registry.homeOf('u1')).toBe(home)
  expect(rolledBack).toHaveLength(tries)
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  await fleet.stop()
})

// --------------------------------------------------------------------------------------------- late effects, fencing none

/** The first call toward each target gets no answer; its effect comes this much later. */
async function lateFleet(lateMs: number, options: FleetOptions & { fencing?: 'enforced' | 'none' } = {}) {
  const seen = new Set<string>()
  const effects: string[] = []
  const { fencing = 'none', ...rest } = options
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: [{ id: 'u1' }] },
    policy: { mode: 'auto', migration: { timeoutMs: 5000, moveTries: 1, maxRetries: 0, retryUnplacedMs: 3_600_000 } },
    ...rest,
    replace: ({ mover, registry, clock }) => ({
      mover: {
        ...mover,
        fencing,
        move: async (move, ctx) => {
          if (seen.size > 0) return mover.move(move, ctx)
          seen.add(move.to.id)
          void pause(clock, lateMs).then(async () => {
            // A network that has held it up: a panel without fencing carries it out, whatever has happened since.
            if (fencing === 'enforced')
              await mover.move(move, ctx).then(
                () => effects.push('done'),
                (error: PintailError) => effects.push(error.code),
              )
            else if (registry.homeOf('u1') !== null) {
              registry.assign({ id: 'u1' }, move.to.id)
              effects.push(`late on ${move.to.id}`)
            }
          })
          return new Promise(() => {})
        },
      },
    }),
  })
  await fleet.advance(20_000)
  return { fleet, effects }
}

test('a grant that arrives after its migration has failed is found and taken back to the living source', async () => {
  const { fleet, effects } = await lateFleet(9000)
  await fleet.pintail.execute(await fleet.pintail.plan({ drain: ['s1'], connections: ['u1'], to: 's2' }))
  await until(fleet, () => failed(fleet).length > 0)
  expect(failed(fleet)[0]?.data).toMatchObject({ residue: [] })
  expect(fleet.registry.homeOf('u1')).toBe('s1')
  expect(fleet.pintail.status().pendingRevokes).toBe(1)
  await fleet.advance(4100)
  expect(effects).toEqual(['late on s2'])
  await fleet.advance(10_000)
  expect(fleet.registry.homeOf('u1')).toBe('s1')
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  expect(told(fleet, 'revoke.settled')[0]?.data).toMatchObject({ serverId: 's2', connectionId: 'u1' })
  await fleet.advance(60_000)
  expect(fleet.pintail.status().servers.map((server) => server.reserved)).toEqual([0, 0, 0, 0])
  await fleet.stop()
})

test('a grant that arrives after the user has found another target brings him back there, not to the dead source', async () => {
  const { fleet, effects } = await lateFleet(9900)
  fleet.kill('s1')
  await until(fleet, () => told(fleet, 'connection.moved').length > 0)
  const home = fleet.registry.homeOf('u1')
  const before = told(fleet, 'connection.move_failed')[0]?.data.toServerId
  expect(home).not.toBe(before)
  expect(fleet.pintail.status().pendingRevokes).toBe(1)
  await until(fleet, () => effects.length > 0)
  expect(effects).toEqual([`late on ${before}`])
  await fleet.advance(20_000)
  expect(fleet.registry.homeOf('u1')).toBe(home)
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  await fleet.stop()
})

test('who was looked after in vain is no news', async () => {
  const { fleet } = await lateFleet(3_600_000)
  await fleet.pintail.execute(await fleet.pintail.plan({ drain: ['s1'], connections: ['u1'], to: 's2' }))
  await until(fleet, () => failed(fleet).length > 0)
  await fleet.advance(30_000)
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  expect([...told(fleet, 'revoke.pending'), ...told(fleet, 'revoke.settled')]).toEqual([])
  await fleet.stop()
})

test('the look at what may come late outlives a restart', async () => {
  const { fleet } = await lateFleet(9000)
  await fleet.pintail.execute(await fleet.pintail.plan({ drain: ['s1'], connections: ['u1'], to: 's2' }))
  await until(fleet, () => failed(fleet).length > 0)
  const again = await fleet.crash()
  await again.advance(120_000)
  expect(again.registry.homeOf('u1')).toBe('s1')
  expect(again.pintail.status().pendingRevokes).toBe(0)
  await again.stop()
})

// --------------------------------------------------------------------------------------------------------------- epochs

test('with enforced fencing a grant that arrives after the user has gone elsewhere is refused, and nothing is owed', async () => {
  const { fleet, effects } = await lateFleet(9900, { fencing: 'enforced' })
  fleet.kill('s1')
  await until(fleet, () => told(fleet, 'connection.moved').length > 0)
  const home = fleet.registry.homeOf('u1')
  expect(fleet.pintail.status().pendingRevokes).toBe(0)
  await until(fleet, () => effects.length > 0)
  expect(effects).toEqual(['fenced'])
  expect(fleet.registry.homeOf('u1')).toBe(home)
  await fleet.stop()
})

test('each call that changes something has its own rising epoch: repetitions, rollbacks and revokes too', async () => {
  const calls: [what: string, token: number, epoch: number][] = []
  let failing = 2
  const fleet = await slowFleet((mover, { mover: own }) => {
    const note = (what: string, { fencingToken, epoch }: Move) => void calls.push([what, fencingToken, epoch])
    mover.confirmation = 'seen'
    mover.move = async (move, ctx) => {
      note('move', move)
      if (move.connection.id === 'u1') throw new Error('socket hang up')
      if (failing-- > 0) throw new PintailError('unavailable', 'busy')
      return own.move(move, ctx)
    }
    mover.locate = async () => {
      throw new Error('no idea')
    }
    mover.rollback = async (move, ctx) => {
      note('rollback', move)
      await own.rollback?.(move, ctx)
    }
    mover.complete = async (move) => note('complete', move)
  })
  await leave(fleet)
  await until(fleet, () => calls.filter(([what]) => what === 'complete').length === 19)
  expect(new Set(calls.map(([what]) => what))).toEqual(new Set(['move', 'rollback', 'complete']))
  expect(new Set(calls.map(([, token]) => token))).toEqual(new Set([1]))
  const epochs = calls.map(([, , epoch]) => epoch)
  expect(new Set(epochs).size).toBe(epochs.length)
  expect(epochs).toEqual([...epochs].sort((a, b) => a - b))
  await fleet.stop()
})

test('a leader in office that is refused because of its own newer call tries again, and is not confused', async () => {
  let refused = 0
  const fleet = await slowFleet((mover, { mover: own }) => {
    mover.move = async (move, ctx) => {
      if (refused++ < 2) throw new PintailError('fenced', 'a newer call has been here')
      return own.move(move, ctx)
    }
  })
  await leave(fleet)
  await fleet.advance(60_000)
  expect(fleet.registry.on('s2')).toHaveLength(20)
  expect(told(fleet, 'leader.lost')).toEqual([])
  expect(told(fleet, 'connection.move_failed')).toEqual([])
  expect(reserved(fleet)).toEqual(nothing)
  await fleet.stop()
})

test('a move that stays fenced is left open, and goes on when the target admits this leader', async () => {
  let refusing = true
  const fleet = await slowFleet((mover, { mover: own }) => {
    mover.move = async (move, ctx) => {
      if (refusing) throw new PintailError('fenced', 'a newer leader has been here')
      return own.move(move, ctx)
    }
  })
  await leave(fleet)
  await fleet.advance(60_000)
  expect(told(fleet, 'connection.move_failed')).toEqual([])
  expect(fleet.pintail.status().migrations.map(({ status }) => status)).toEqual(['transferring'])
  refusing = false
  await fleet.advance(60_000)
  expect(fleet.registry.on('s2')).toHaveLength(20)
  expect(reserved(fleet)).toEqual(nothing)
  await fleet.stop()
})

// ------------------------------------------------------------------------------------------------- who refuses everybody

test('a target that refuses everybody is not asked for each of 5,000 users', async () => {
  let asked = 0
  const fleet = await createFleet({
    servers: ['s1', 's2', 's3'].map((id, index) => ({ id, host: `192.0.2.${index + 1}`, capacity: 10_000 })),
    connections: { s1: Array.from({ length: 5000 }, (_, index) => ({ id: `u${index + 1}` })) },
    policy: { mode: 'auto', migration: { concurrency: 10 } },
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          if (move.to.id !== 's2') return mover.move(move, ctx)
          asked++
          throw new PintailError('rejected', 'not one more peer')
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await until(fleet, () => fleet.registry.on('s1').length === 0)
  // 5 for each of the 3 tries, and whoever was under way.
  expect(asked).toBeLessThanOrEqual(15 + 2 * 10)
  expect(failed(fleet)[0]?.data.error).toContain('not one more peer')
  expect(fleet.registry.on('s3')).toHaveLength(5000)
  await fleet.advance(60_000)
  expect(fleet.pintail.status().servers.map((server) => server.reserved)).toEqual([0, 0, 0])
  await fleet.stop()
})

test('a target that is only busy for a while is tried again: nobody is lost by the early halt', async () => {
  let busyUntil = 0
  const fleet = await slowFleet((mover, { mover: own, clock }) => {
    busyUntil = clock.now() + 60_000
    mover.move = async (move, ctx) => {
      if (clock.now() < busyUntil) throw new PintailError('unavailable', 'busy')
      return own.move(move, ctx)
    }
  })
  await leave(fleet)
  await fleet.advance(600_000)
  expect(fleet.registry.on('s2')).toHaveLength(20)
  expect(reserved(fleet)).toEqual(nothing)
  await fleet.stop()
})

test('fifteen failures in a row halt nothing when somebody under way gets through', async () => {
  const fleet = await slowFleet(
    (mover, { mover: own, clock }) => {
      mover.move = async (move, ctx) => {
        if (Number(move.connection.id.slice(1)) <= 15) throw new PintailError('rejected', 'no active configuration')
        await pause(clock, 2000)
        return own.move(move, ctx)
      }
    },
    { policy: { mode: 'auto', migration: { concurrency: 16 } } },
  )
  await leave(fleet)
  await until(fleet, () => told(fleet, 'migration.completed').length > 0)
  expect(fleet.registry.on('s2')).toEqual(['u16', 'u17', 'u18', 'u19', 'u20'])
  expect(told(fleet, 'migration.completed')).toHaveLength(1)
  await fleet.stop()
})

test('5,000 users of whom one in a hundred is refused everywhere: 4,950 moved, 50 reported, nobody rolled back for another', async () => {
  const refused = (id: string): boolean => Number(id.slice(1)) % 100 === 0
  const fleet = await createFleet({
    servers: Array.from({ length: 8 }, (_, index) => ({ id: `s${index + 1}`, host: `192.0.2.${index + 1}`, capacity: 2000 })),
    connections: { s1: Array.from({ length: 5000 }, (_, index) => ({ id: `u${index + 1}` })) },
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          if (refused(move.connection.id)) throw new PintailError('rejected', 'no active configuration')
          return mover.move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await until(fleet, () => told(fleet, 'evacuation.completed').length > 0)
  expect(told(fleet, 'evacuation.completed')[0]?.data).toMatchObject({ moved: 4950, unplaced: 50 })
  expect(fleet.registry.on('s1').every(refused)).toBe(true)
  expect(fleet.registry.on('s1')).toHaveLength(50)
  const moved = told(fleet, 'connection.moved').map(({ data }) => data.connectionId)
  expect([moved.length, new Set(moved).size]).toEqual([4950, 4950])
  expect(told(fleet, 'connection.move_failed').every(({ data }) => refused(data.connectionId) && !data.rolledBack)).toBe(true)
  const [evacuation] = await fleet.pintail.evacuations.list()
  expect(evacuation?.unplaced.every(({ code }) => code === 'refused_everywhere')).toBe(true)
  await fleet.advance(60_000)
  expect(fleet.pintail.status().servers.every((server) => server.reserved === 0)).toBe(true)
  await fleet.stop()
})
