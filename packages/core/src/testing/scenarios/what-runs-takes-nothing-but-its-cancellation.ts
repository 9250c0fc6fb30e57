import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'what runs takes nothing but its cancellation',
  { servers: 2, users: 18, panel: { latencyMs: 10_000 }, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.until('one has moved', () => world.moved > 0)
    const { migrations } = world.engine
    const { id } = world.migration()
    for (const call of ['approve', 'schedule', 'retry', 'delete'] as const) {
      const refused = await world.refused(migrations[call](id) as Promise<unknown>)
      assert.deepEqual(
        [refused.code, refused.message],
        ['illegal_transition', `migration ${id} is transferring: it does not take "${call}"`],
      )
      assert.equal(refused.remedy, 'Allowed now: cancel.')
    }
    await world.answer(migrations.cancel(id))
    // While the last call settles it takes not even that.
    const again = await world.refused(migrations.cancel(id))
    assert.match(again.message, /is (being cancelled|cancelled): it does not take "cancel"/)
  },
)
