import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a retry while its evacuation still runs is refused with what that does by itself',
  { servers: 3, users: 2, policy: { mode: 'auto', migration: { retryUnplacedMs: 600_000 } } },
  async (world) => {
    world.refusePreparation('s2', 's3')
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    const { id, evacuationId, status } = world.migration()
    assert.equal(status, 'failed')
    const { code, message, remedy } = await world.refused(world.engine.migrations.retry(id))
    assert.equal(code, 'illegal_transition')
    assert.equal(message, `evacuation ${evacuationId} of migration ${id} still runs, and plans anew by itself whom it may`)
    assert.equal(remedy, 'Wait until that has ended, or cancel it first.')
    const kept = await world.refused(world.engine.migrations.delete(id))
    assert.match(kept.message, /its evacuation may still need it/)
  },
)
