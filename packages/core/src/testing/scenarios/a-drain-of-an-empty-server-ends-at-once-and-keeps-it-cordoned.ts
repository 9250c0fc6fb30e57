import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a drain of an empty server ends at once and keeps it cordoned', { users: { s1: 2 } }, async (world) => {
  const { id } = await world.answer(world.engine.drain('s3'))
  await world.minutes(1)
  const { status, connections, moved, endedAt } = await world.answer(world.engine.evacuations.get(id))
  assert.deepEqual([status, connections, moved, endedAt !== null], ['completed', 0, 0, true])
  assert.deepEqual([world.report('s3').cordoned, world.migrations], [true, []])
})
