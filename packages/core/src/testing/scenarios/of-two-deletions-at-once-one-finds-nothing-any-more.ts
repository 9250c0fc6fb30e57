import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('of two deletions at once one finds nothing any more', { servers: 2 }, async (world) => {
  await world.answer(world.engine.drain('s1'))
  await world.minutes(1)
  const { id } = world.migration()
  const { answers, refusals } = await world.atOnce(world.engine.migrations.delete(id), world.engine.migrations.delete(id))
  assert.deepEqual([answers.length, refusals.map(({ code }) => code)], [1, ['not_found']])
  assert.equal(world.told('migration.deleted').length, 1)
  assert.equal((await world.refused(world.engine.migrations.get(id))).code, 'not_found')
  assert.deepEqual((await world.answer(world.engine.migrations.list())).total, 0)
})
