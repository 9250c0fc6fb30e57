import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('what is completed takes nothing but its deletion', { servers: 2 }, async (world) => {
  await world.answer(world.engine.drain('s1'))
  await world.minutes(1)
  const { migrations } = world.engine
  const { id } = world.migration()
  for (const call of ['approve', 'schedule', 'cancel', 'retry'] as const) {
    const refused = await world.refused(migrations[call](id))
    assert.deepEqual([refused.code, refused.message], ['illegal_transition', `migration ${id} is completed: it does not take "${call}"`])
    assert.equal(refused.remedy, 'Allowed now: delete.')
  }
  await world.answer(migrations.delete(id))
  assert.deepEqual(
    world.told('migration.deleted').map((one) => one.id),
    [id],
  )
})
