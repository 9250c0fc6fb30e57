import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isTerminal, transitions } from '../decide/migration.ts'
import { PintailError } from '../errors.ts'
import type { PintailEvent } from '../events.ts'
import { createFleet, type Fleet, seededRandom } from '../testing/index.ts'
import type { Migration, MigrationStatus } from '../vocabulary.ts'

/** What happens in a world, one a minute or so. */
const happening = fc.oneof(
  fc.record({
    do: fc.constantFrom('kill' as const, 'kill' as const, 'kill' as const, 'revive' as const, 'cordon' as const, 'uncordon' as const),
    server: fc.integer({ min: 1, max: 6 }),
  }),
  fc.record({
    do: fc.constantFrom('pause' as const, 'resume' as const, 'cancel' as const, 'approve' as const, 'partition' as const, 'crash' as const),
    server: fc.constant(0),
  }),
)
const world = fc.record({
  seed: fc.nat(),
  users: fc.integer({ min: 4, max: 20 }),
  capacity: fc.integer({ min: 20, max: 60 }),
  concurrency: fc.constantFrom(1, 3, 100),
  faults: fc.integer({ min: 0, max: 60 }),
  mode: fc.constantFrom('auto' as const, 'auto' as const, 'suggest' as const),
  story: fc.array(happening, { minLength: 1, maxLength: 8 }),
})

/** A mover that is slow, refuses, is unavailable, or does its work and then fails: by chance. */
function open(
  random: () => number,
  {
    users,
    capacity,
    concurrency,
    faults,
    mode,
    seed,
  }: { [K in 'users' | 'capacity' | 'concurrency' | 'faults' | 'seed']: number } & { mode: 'auto' | 'suggest' },
) {
  return createFleet({
    servers: 6,
    connections: users,
    capacity,
    seed,
    policy: { mode, migration: { concurrency, timeoutMs: 3000 } },
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, Math.floor(random() * 2000)))
          const luck = random() * 100
          if (luck < faults / 3) throw new PintailError('unavailable', '503')
          if (luck < faults / 2) throw new PintailError('rejected', 'no active configuration')
          await mover.move(move, ctx)
          if (luck < faults) throw new Error('connection reset after the effect')
        },
      },
    }),
  })
}

async function tell(fleet: Fleet, one: { do: string; server: number }): Promise<Fleet> {
  const id = `s${one.server}`
  if (one.do === 'kill') fleet.kill(id)
  if (one.do === 'revive') fleet.revive(id)
  if (one.do === 'cordon') await fleet.pintail.cordon(id)
  if (one.do === 'uncordon') await fleet.pintail.uncordon(id)
  if (one.do === 'pause') await fleet.pintail.pause()
  if (one.do === 'resume') await fleet.pintail.resume()
  if (one.do === 'partition') {
    fleet.partition(true)
    await fleet.advance(15_000)
    fleet.partition(false)
  }
  const [evacuation] = fleet.pintail.status().evacuations
  if (one.do === 'cancel' && evacuation && evacuation.cancelledWhy === null) await fleet.pintail.evacuations.cancel(evacuation.id)
  const waits = evacuation?.status === 'suggested' && evacuation.cancelledWhy === null
  if (one.do === 'approve' && waits) await fleet.pintail.evacuations.approve(evacuation.id)
  if (one.do !== 'crash') return fleet
  const next = await fleet.crash()
  // Its predecessor's lease has to run out first.
  await next.advance(40_000)
  return next
}

test('in random worlds with faults, words and crashes: nobody lost or doubled, no target over capacity, every step legal and journalled', async () => {
  const seen = new Set<MigrationStatus>()
  let moves = 0
  await fc.assert(
    fc.asyncProperty(world, async (setting) => {
      const random = seededRandom(setting.seed)
      const ctx = { signal: new AbortController().signal }
      let fleet = await open(random, setting)
      const home = () => Array.from({ length: 6 }, (_, index) => fleet.registry.on(`s${index + 1}`))
      const everybody = home().flat().sort()
      const check = () => {
        expect(home().flat().sort()).toEqual(everybody)
        for (const users of home()) expect(users.length).toBeLessThanOrEqual(Math.max(setting.capacity, setting.users))
      }
      await fleet.advance(15_000)
      for (const one of setting.story) {
        fleet = await tell(fleet, one)
        for (let part = 0; part < 6; part++) {
          await fleet.advance(5000)
          check()
        }
      }
      await fleet.advance(300_000)
      check()
      await fleet.stop()
      const { entries } = await fleet.store.readJournal({ after: 0, limit: 1_000_000 }, ctx)
      expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index + 1))
      const status = new Map<string, MigrationStatus>()
      for (const { type, data } of entries as unknown as PintailEvent[]) {
        if (type === 'migration.created') status.set(data.id, data.status)
        if (type !== 'migration.status_changed') continue
        expect(data.oldStatus).toBe(status.get(data.id))
        expect(Object.values(transitions[data.oldStatus])).toContain(data.newStatus)
        status.set(data.id, data.newStatus)
        seen.add(data.newStatus)
      }
      moves += entries.filter(({ type }) => type === 'connection.moved').length
      for (const { id, status: kept } of await (fleet.store.list('migration', {}, ctx) as PromiseLike<readonly Migration[]>)) {
        expect(kept).toBe(status.get(id))
        const isOpen = !isTerminal(kept)
        // What is open at the end waits for somebody: an approval, a pause, a guard. Nothing is stuck in the middle.
        if (isOpen) expect(['suggested', 'scheduled', 'transferring']).toContain(kept)
      }
    }),
    { seed: 20260109, numRuns: 300 },
  )
  // The worlds are worth something only if they reach every state.
  expect([...seen].sort()).toEqual(['approved', 'cancelled', 'completed', 'completing', 'failed', 'preparing', 'scheduled', 'transferring'])
  expect(moves).toBeGreaterThan(1000)
})
