import { expect, test } from 'vitest'
import { memoryLog, PintailError } from '../index.ts'
import type { ConnectionMover, LogEntry } from '../ports.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'

type Parts = Parameters<NonNullable<FleetOptions['replace']>>[0]
type M = { -readonly [K in keyof ConnectionMover]: ConnectionMover[K] }
async function fleetWith(change: (mover: M, parts: Parts) => void, options: FleetOptions = {}): Promise<Fleet> {
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: [{ id: 'u1' }] },
    ...options,
    replace: (parts) => {
      const mover: M = { move: async ({ connection, to }) => parts.registry.assign({ id: connection.rawId }, to.id) }
      change(mover, parts)
      return { mover, ...options.replace?.(parts) }
    },
  })
  await fleet.advance(20_000)
  return fleet
}
const failures = (fleet: Fleet) => fleet.events.flatMap((e) => (e.type === 'migration.failed' ? [e.data] : []))

test('an ambiguous try is not forgotten when a later try is unavailable: rolled back, or residue', async () => {
  let calls = 0
  const fleet = await fleetWith(
    (mover, { registry }) => {
      mover.move = async ({ connection, to }) => {
        if (++calls > 1) throw new PintailError('unavailable', 'down now')
        registry.assign({ id: connection.rawId }, to.id)
        throw new Error('socket hang up')
      }
    },
    { policy: { mode: 'auto', migration: { maxRetries: 0 } } },
  )
  fleet.kill('s1')
  await fleet.advance(120_000)
  expect(failures(fleet)[0]).toMatchObject({ residue: ['u1'], rollbackSuccess: false })
})

test('an ambiguous try is not forgotten when a later try is rejected', async () => {
  let calls = 0
  const fleet = await fleetWith(
    (mover, { registry }) => {
      mover.move = async ({ connection, to }) => {
        if (++calls > 1) throw new PintailError('rejected', 'locked now')
        registry.assign({ id: connection.rawId }, to.id)
        throw new Error('socket hang up')
      }
    },
    { policy: { mode: 'auto', migration: { maxRetries: 0 } } },
  )
  fleet.kill('s1')
  await fleet.advance(120_000)
  expect(failures(fleet)[0]).toMatchObject({ residue: ['u1'], rollbackSuccess: false })
})

test.for(['unavailable', 'rejected'] as const)(
  'verify that throws %s after a resolved move does not mean that nothing happened',
  async (code) => {
    const rolledBack: string[] = []
    const fleet = await fleetWith(
      (mover, { registry }) => {
        mover.verify = async () => {
          throw new PintailError(code, 'cannot tell')
        }
        mover.rollback = async ({ connection, from }) => {
          rolledBack.push(connection.id)
          registry.assign({ id: connection.rawId }, from.id)
        }
      },
      { policy: { mode: 'auto', migration: { maxRetries: 0 } } },
    )
    fleet.kill('s1')
    await fleet.advance(120_000)
    const failed = failures(fleet)[0]
    expect(rolledBack.length > 0 || failed?.residue.length === 1).toBe(true)
  },
)

test('rollback_success is null while there was nothing to roll back', async () => {
  const fleet = await fleetWith((mover) => {
    mover.move = async () => {
      throw new PintailError('rejected', 'no')
    }
  })
  fleet.kill('s1')
  await fleet.advance(120_000)
  expect(failures(fleet)[0]?.rollbackSuccess).toBe(null)
})

test('a revoke carries a fencing token', async () => {
  const tokens: number[] = []
  const fleet = await fleetWith((mover) => {
    mover.complete = async ({ fencingToken }) => void tokens.push(fencingToken)
  })
  fleet.kill('s1')
  await fleet.advance(120_000)
  expect(tokens).toEqual([1])
})

test('a pending revoke of a server to which the user has come back is dropped (I1)', async () => {
  const revoked: string[] = []
  const fleet = await fleetWith(
    (mover, { registry }) => {
      mover.complete = async ({ connection, from }) =>
        void revoked.push(`${connection.id} on ${from.id}, home is ${registry.homeOf(connection.id)}`)
    },
    { policy: { mode: 'auto', migration: { revokeGraceMs: 60_000 } } },
  )
  await fleet.pintail.drain('s1')
  await fleet.advance(5000)
  const away = fleet.registry.homeOf('u1') as string
  await fleet.pintail.uncordon('s1')
  for (const s of ['s2', 's3', 's4']) if (s !== away) await fleet.pintail.cordon(s)
  await fleet.pintail.drain(away)
  await fleet.advance(5000)
  expect(fleet.registry.homeOf('u1')).toBe('s1')
  await fleet.advance(200_000)
  expect(revoked.filter((line) => line.startsWith('u1 on s1, home is s1'))).toEqual([])
})

test('the audit trail gets the last entry although nothing follows it', async () => {
  const log = memoryLog()
  let last: LogEntry | undefined
  const fleet = await fleetWith(() => {}, {
    replace: ({ store, clock }) => ({
      log: {
        write: async (entry) => {
          last = entry
          await log.write(entry, { signal: new AbortController().signal })
        },
      },
      store: {
        ...store,
        // A store on a network: what it answers is what it knew 5 ms ago.
        readJournal: async (query, ctx) => {
          const page = await store.readJournal(query, ctx)
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 5))
          return page
        },
      },
    }),
  })
  const seqs: string[] = []
  for (let i = 0; i < 200; i++) {
    await fleet.pintail.cordon('s2')
    await fleet.advance(i % 11)
    await fleet.pintail.uncordon('s2')
    await fleet.advance(2000)
    seqs.push(`${last?.id} of ${fleet.pintail.status().lastSeq}`)
  }
  expect(
    seqs.filter((s) => {
      const [id, n] = s.split(' of ')
      return id !== `journal-${n}`
    }),
  ).toEqual([])
})

test('a move that locate finds on the target is verified too', async () => {
  const fleet = await fleetWith((mover, { registry }) => {
    const bad = 's2'
    mover.move = async ({ connection, to }) => {
      registry.assign({ id: connection.rawId }, to.id)
      if (to.id === bad) throw new Error('socket hang up')
    }
    mover.locate = async ({ connection, to }) => (registry.homeOf(connection.id) === to.id ? 'on_target' : 'on_source')
    mover.verify = async ({ to }) => to.id !== bad
    mover.rollback = async ({ connection, from }) => registry.assign({ id: connection.rawId }, from.id)
  })
  fleet.kill('s1')
  await fleet.advance(120_000)
  expect(fleet.registry.homeOf('u1')).not.toBe('s2')
})
