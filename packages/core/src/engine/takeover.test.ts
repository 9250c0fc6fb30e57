// What a leader does not know that has only just begun, and what one may no longer do whose lease is about to end.
import { expect, test } from 'vitest'
import type { ConnectionMover, ServerInput, ServerRegistry } from '../ports.ts'
import { createFleet, type Fleet, type FleetOptions } from '../testing/index.ts'
import type { Move } from '../vocabulary.ts'

type Parts = Parameters<NonNullable<FleetOptions['replace']>>[0]

const untold = ({ registry }: Parts): ServerRegistry => ({
  listServers: async (ctx) => ((await registry.listServers(ctx)) as readonly ServerInput[]).map(({ load: _, ...row }) => row),
  listConnections: (server, ctx) => registry.listConnections(server, ctx),
})

/** The mover of the fleet, whose moves take so long, half of it before their effect. */
const slow = ({ mover, clock }: Parts, ms: number): ConnectionMover => ({
  ...(mover as ConnectionMover),
  move: async (move, ctx) => {
    await new Promise<void>((resolve) => clock.setTimeout(resolve, ms / 2))
    await mover.move(move, ctx)
    await new Promise<void>((resolve) => clock.setTimeout(resolve, ms / 2))
  },
})

const skipped = (fleet: Fleet) => fleet.events.flatMap((event) => (event.type === 'connection.skipped' ? [event.data.why] : []))

test('a migration in its middle goes on under the next leader also where the registry tells no load', async () => {
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: Array.from({ length: 30 }, (_, index) => ({ id: `u${index}` })) },
    policy: { mode: 'auto', migration: { concurrency: 3 } },
    replace: (parts) => ({ registry: untold(parts), mover: slow(parts, 1000) }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(15_000)
  const left = fleet.registry.on('s1').length
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThan(30)
  const next = await fleet.crash()
  await next.advance(120_000)
  expect(next.registry.on('s1')).toEqual([])
  expect(skipped(next)).toEqual([])
  expect(next.events.filter(({ type }) => type === 'connection.move_failed')).toEqual([])
  await next.stop()
})

test('a new leader that is done before its first check does not spare a dead source for the grace', async () => {
  const taken = new Set<string>()
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: [{ id: 'u1' }, { id: 'u2' }] },
    replace: (parts) => ({
      mover: { ...slow(parts, 4000), complete: async ({ connection }: Move) => void taken.add(connection.id) },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  while (fleet.registry.on('s1').length > 0) await fleet.advance(100)
  // The effects are there and the answers are not: the next leader has only to ask.
  const next = await fleet.crash()
  await next.advance(180_000)
  expect(taken).toEqual(new Set(['u1', 'u2']))
  expect(next.pintail.status().pendingRevokes).toBe(0)
  await next.stop()
})

test.for(['rollback', 'complete'] as const)('without fencing no %s starts whose time-out the lease would not outlive', async (what) => {
  const timeoutMs = 20_000
  let isAway = false
  let leaseUntil = 0
  const calls: { readonly isWithin: boolean }[] = []
  const fleet = await createFleet({
    servers: 4,
    connections: { s1: [{ id: 'u1' }] },
    policy: { mode: 'auto', migration: { timeoutMs, moveTries: 1, maxRetries: 0, revokeGraceMs: 20_000 } },
    replace: ({ registry, leases, clock }) => {
      const renewed = (until: number) => {
        leaseUntil = until
      }
      const note = async () => void calls.push({ isWithin: clock.now() + timeoutMs < leaseUntil })
      const mover: ConnectionMover = {
        fencing: 'none',
        confirmation: 'applied',
        move: ({ connection, to }) => {
          if (what === 'rollback') return new Promise(() => {})
          return registry.assign({ id: connection.rawId }, to.id) as never
        },
        // Asking takes nearly as long as it may.
        locate: async () => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, timeoutMs - 1000))
          return what === 'rollback' ? 'on_source' : 'on_target'
        },
        [what]: note,
      }
      return {
        mover,
        leases: {
          ...leases,
          acquire: async (holder, ttlMs, ctx) => {
            const lease = await leases?.acquire(holder, ttlMs, ctx)
            if (lease) renewed(clock.now() + ttlMs)
            return lease ?? null
          },
          renew: async (lease, ctx) => {
            if (isAway) throw new Error('no way to the lease store')
            const isHeld = (await leases?.renew(lease, ctx)) === true
            if (isHeld) renewed(clock.now() + lease.ttlMs)
            return isHeld
          },
          release: async (lease, ctx) => leases?.release(lease, ctx),
        },
      }
    },
  })
  await fleet.advance(20_000)
  if (what === 'rollback') fleet.kill('s1')
  else await fleet.pintail.drain('s1')
  await fleet.advance(12_000)
  isAway = true
  await fleet.advance(120_000)
  const late = calls.length
  isAway = false
  await fleet.advance(200_000)
  expect(calls.every(({ isWithin }) => isWithin)).toBe(true)
  expect(calls.length, 'it is made up for when the lease is there again').toBeGreaterThan(late)
  await fleet.stop()
})
