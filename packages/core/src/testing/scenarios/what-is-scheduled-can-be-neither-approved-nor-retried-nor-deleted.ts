import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'what is scheduled can be neither approved nor retried nor deleted',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { migrations } = world.engine
    const { id } = world.migration()
    await world.answer(migrations.schedule(id, { at: world.engine.status().at + 3_600_000 }))
    for (const call of ['approve', 'retry', 'delete'] as const) {
      const refused = await world.refused(migrations[call](id) as Promise<unknown>)
      assert.deepEqual([refused.code, refused.message], ['illegal_transition', `migration ${id} is scheduled: it does not take "${call}"`])
      assert.equal(refused.remedy, 'Allowed now: schedule, cancel.')
    }
  },
)
