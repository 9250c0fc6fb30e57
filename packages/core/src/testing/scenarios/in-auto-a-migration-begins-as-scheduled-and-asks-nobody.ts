import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('in auto a migration begins as scheduled and asks nobody', { servers: 2, users: 2 }, async (world) => {
  await world.answer(world.engine.drain('s1'))
  await world.minutes(1)
  assert.deepEqual(
    world.told('migration.created').map(({ status }) => status),
    ['scheduled'],
  )
  assert.equal(world.steps()[0], 'scheduled → preparing')
  // Nobody has approved it.
  const { approvedAt, scheduledAt, createdAt, status } = world.migration()
  assert.deepEqual([status, approvedAt, scheduledAt], ['completed', null, createdAt])
})
