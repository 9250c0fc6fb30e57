import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFleet, type Fleet } from '../testing/index.ts'
import type { Move } from '../vocabulary.ts'

test('an engine killed at a random moment of an evacuation: the next one finishes it, nobody twice, nobody lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 60_000 }),
      fc.integer({ min: 1, max: 9000 }),
      fc.boolean(),
      async (first, second, locates) => {
        const effects = new Map<string, number>()
        const fleet = await createFleet({
          servers: 6,
          connections: 30,
          policy: { mode: 'auto', migration: { concurrency: 5, timeoutMs: 5000 } },
          replace: ({ mover, registry, clock }) => {
            const slow = {
              ...mover,
              move: async (move: Move, ctx: never) => {
                await new Promise<void>((resolve) => clock.setTimeout(resolve, 700))
                const before = registry.homeOf(move.connection.id)
                await mover.move(move, ctx)
                if (registry.homeOf(move.connection.id) !== before)
                  effects.set(move.connection.id, (effects.get(move.connection.id) ?? 0) + 1)
              },
            }
            const { locate: _, ...blind } = slow
            return { mover: (locates ? slow : blind) as never }
          },
        })
        await fleet.advance(15_000)
        fleet.kill('s1')
        await fleet.advance(first)
        const again = await fleet.crash()
        await again.advance(second)
        const third = await again.crash()
        await third.advance(200_000)
        expect(third.registry.on('s1')).toEqual([])
        expect(effects.size).toBe(30)
        expect([...effects.values()].every((times) => times === 1)).toBe(true)
        expect(third.pintail.status().evacuations).toEqual([])
        expect(third.pintail.status().servers.find(({ serverId }) => serverId === 's1')?.status).toBe('offline')
        third.revive('s1')
        await third.advance(60_000)
        expect(third.pintail.status().servers.find(({ serverId }) => serverId === 's1')?.status).toBe('online')
        await third.stop()
      },
    ),
    { seed: 20260108, numRuns: 40 },
  )
})

const words = (fleet: Fleet) => fleet.pintail.status()

test('cordon, pause and policy patch outlive a restart', async () => {
  const fleet = await createFleet({ servers: 6 })
  await fleet.advance(20_000)
  await fleet.pintail.cordon('s2')
  await fleet.pintail.pause('all', { reason: 'night shift' })
  const view = await fleet.pintail.policy.update({ guards: { massFailureRatio: 0.5 } }, { ifVersion: 0 })
  expect(view.sources['guards.massFailureRatio']).toBe('patch')
  const again = await fleet.crash()
  await again.advance(70_000)
  expect(words(again).servers.find(({ serverId }) => serverId === 's2')?.cordoned).toBe(true)
  expect(words(again).pauses).toMatchObject([{ scope: 'all', reason: 'night shift' }])
  expect(again.pintail.policy.get().policy.guards.massFailureRatio).toBe(0.5)
  again.kill('s1')
  await again.advance(60_000)
  expect(again.registry.on('s1')).toHaveLength(10)
  await again.pintail.resume()
  await again.advance(60_000)
  expect(again.registry.on('s1')).toEqual([])
  expect(again.registry.on('s2')).toHaveLength(10)
  await again.stop()
})

test('an approval that waits is still there after a restart, and a cancelled evacuation stays cancelled', async () => {
  const fleet = await createFleet({ servers: 6, policy: { mode: 'suggest' } })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const again = await fleet.crash()
  await again.advance(70_000)
  const [evacuation] = words(again).evacuations
  expect(evacuation?.status).toBe('suggested')
  await again.pintail.evacuations.cancel(evacuation?.id ?? '')
  await again.advance(70_000)
  const third = await again.crash()
  await third.advance(200_000)
  expect(third.registry.on('s1')).toHaveLength(10)
  expect((await third.pintail.evacuations.get(evacuation?.id ?? '')).status).toBe('cancelled')
  await third.stop()
})

test('a graceful stop hands over at once: the next engine does not wait for a lease to run out', async () => {
  const fleet = await createFleet({ servers: 3 })
  await fleet.advance(10_000)
  await fleet.stop()
  const next = await fleet.crash()
  await next.advance(100)
  expect(next.pintail.status().state).toBe('leading')
  await next.stop()
})

test('an evacuation that was cancelled ends also if the engine died before its migrations were', async () => {
  let silent = false
  const fleet = await createFleet({
    policy: { mode: 'suggest' },
    replace: ({ store }) => ({
      store: {
        ...store,
        commit: async (batch, ctx) => {
          if (silent) return new Promise<never>(() => {})
          const isCancelled = batch.writes.some(({ kind, value }) => kind === 'evacuation' && value !== null && value.cancelledWhy !== null)
          const kept = await store.commit(batch, ctx)
          silent = isCancelled
          return kept
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const id = words(fleet).evacuations[0]?.id ?? ''
  void fleet.pintail.evacuations.cancel(id).catch(() => {})
  await fleet.advance(100)
  expect(silent).toBe(true)
  const crashed = fleet.crash()
  silent = false
  const again = await crashed
  silent = false
  await again.advance(100_000)
  expect((await again.pintail.evacuations.get(id)).status).toBe('cancelled')
  expect(words(again).migrations).toEqual([])
  await again.stop()
})
