import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'what was cancelled takes nothing but a retry and its deletion',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { migrations } = world.engine
    const { id } = world.migration()
    await world.answer(migrations.cancel(id))
    for (const call of ['approve', 'schedule', 'cancel'] as const) {
      const refused = await world.refused(migrations[call](id))
      assert.deepEqual([refused.code, refused.message], ['illegal_transition', `migration ${id} is cancelled: it does not take "${call}"`])
      assert.equal(refused.remedy, 'Allowed now: retry, delete.')
    }
    await world.minutes(1)
    await world.answer(migrations.retry(id))
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
  },
)
