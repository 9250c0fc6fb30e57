import { expect, test } from 'vitest'
import { PintailError } from '../errors.ts'
import type { PintailEvent } from '../events.ts'
import type { Logger } from '../ports.ts'
import { createFleet, type Fleet } from '../testing/index.ts'

const told = <T extends PintailEvent['type']>(fleet: Fleet, type: T) =>
  fleet.events.filter((event): event is Extract<PintailEvent, { type: T }> => event.type === type)
async function ask<T>(fleet: Fleet, call: Promise<T>): Promise<T> {
  const settled = call.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error
    },
  )
  await fleet.advance(100)
  return (await settled)()
}

test('a target that refuses prepare is not planned again at once, for ever', async () => {
  const fleet = await createFleet({
    servers: 4,
    connections: 6,
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        prepare: async () => {
          throw new PintailError('rejected', 'read-only')
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  expect(told(fleet, 'migration.created').length).toBeLessThan(50)
  await fleet.stop()
})

test('in a fleet of three a panel that is down for ten minutes costs ten minutes and nobody', async () => {
  let down = true
  const fleet = await createFleet({
    servers: 3,
    connections: 6,
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          if (down) throw new PintailError('unavailable', '503')
          await mover.move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(600_000)
  down = false
  await fleet.advance(600_000)
  expect(fleet.registry.on('s1')).toEqual([])
  await fleet.stop()
})

test('a guard of the host that forbids manual is heard', async () => {
  const fleet = await createFleet({
    replace: () => ({ guards: [{ current: async () => [{ name: 'freeze', active: true, message: 'no', forbids: ['manual'] }] }] }),
  })
  await fleet.advance(20_000)
  const plan = await ask(fleet, fleet.pintail.plan({ drain: ['s1'] }))
  await expect(ask(fleet, fleet.pintail.execute(plan))).rejects.toMatchObject({ code: 'guard_denied' })
  await fleet.stop()
})

test('a cancelled migration says why', async () => {
  const fleet = await createFleet({ policy: { mode: 'suggest' } })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(30_000)
  fleet.revive('s1')
  await fleet.advance(30_000)
  expect(told(fleet, 'migration.cancelled')[0]?.data.why).toContain('recovered')
  await fleet.stop()
})

test('a second optional evacuation of one server within the cooldown is refused', async () => {
  const fleet = await createFleet({ policy: { mode: 'auto' } })
  await fleet.advance(20_000)
  const rebalance = async () =>
    ask(fleet, fleet.pintail.execute(await ask(fleet, fleet.pintail.plan({ drain: ['s1'], reason: 'rebalancing' }))))
  await rebalance()
  await fleet.advance(60_000)
  fleet.registry.assign({ id: 'back' }, 's1')
  await fleet.advance(60_000)
  await expect(rebalance()).rejects.toMatchObject({ code: 'guard_denied' })
  await fleet.stop()
})

test('a migration whose revokes fail is completed with a warning in its record', async () => {
  const fleet = await createFleet({
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        complete: async () => {
          throw new Error('gone')
        },
      },
    }),
  })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const { migrations } = await ask(fleet, fleet.pintail.migrations.list())
  for (const { status, warnings } of migrations) expect([status, warnings.length]).toEqual(['completed', 1])
  await fleet.stop()
})

test('an executed rollback is a WARN line of its own', async () => {
  const warned: string[] = []
  const quiet = () => {}
  const logger: Logger = { debug: quiet, info: quiet, warn: (_, message) => warned.push(message), error: quiet }
  const fleet = await createFleet({
    servers: 3,
    policy: { mode: 'auto', migration: { moveTries: 1, maxRetries: 0 } },
    replace: ({ mover }) => ({ logger, mover: { ...mover, verify: async () => false } }),
  })
  await fleet.advance(20_000)
  await ask(fleet, fleet.pintail.execute(await ask(fleet, fleet.pintail.plan({ drain: ['s1'] }))))
  await fleet.advance(2_000)
  expect(warned.some((line) => /roll(ed|back)/.test(line))).toBe(true)
  await fleet.stop()
})

test('the mass-failure guard holds manual evacuations too', async () => {
  const fleet = await createFleet()
  await fleet.advance(20_000)
  for (const id of ['s1', 's2', 's3']) fleet.kill(id)
  await fleet.advance(60_000)
  const plan = await ask(fleet, fleet.pintail.plan({ drain: ['s4'] }))
  await ask(fleet, fleet.pintail.execute(plan)).catch(() => {})
  await fleet.advance(20_000)
  expect(fleet.registry.on('s4')).toHaveLength(10)
  await fleet.stop()
})

test('a decision that was made against an overridden guard says so', async () => {
  const fleet = await createFleet({ servers: 10, connections: 2 })
  await fleet.advance(20_000)
  for (const id of ['s1', 's2', 's3', 's4', 's5']) fleet.kill(id)
  await fleet.advance(60_000)
  const incident = fleet.pintail.status().incidents[0]
  await ask(fleet, fleet.pintail.incidents.overrideGuard(incident?.id ?? ''))
  await fleet.advance(30_000)
  const decision = await ask(fleet, fleet.pintail.decision(told(fleet, 'decision.made')[0]?.data.decisionId ?? ''))
  expect(decision.guards.find(({ guard }) => guard === 'mass_failure')?.denial).not.toBeNull()
  await fleet.stop()
})
