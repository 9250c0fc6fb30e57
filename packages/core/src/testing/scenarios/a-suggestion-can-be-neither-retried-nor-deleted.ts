import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a suggestion can be neither retried nor deleted',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { migrations } = world.engine
    const { id } = world.migration()
    for (const call of ['retry', 'delete'] as const) {
      const refused = await world.refused(migrations[call](id) as Promise<unknown>)
      assert.deepEqual([refused.code, refused.message], ['illegal_transition', `migration ${id} is suggested: it does not take "${call}"`])
      assert.equal(refused.remedy, 'Allowed now: approve, schedule, cancel.')
    }
  },
)
