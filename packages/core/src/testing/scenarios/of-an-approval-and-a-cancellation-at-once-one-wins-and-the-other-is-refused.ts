import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'of an approval and a cancellation at once one wins and the other is refused',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { id } = world.migration()
    const { answers } = await world.atOnce(world.engine.migrations.approve(id), world.engine.migrations.cancel(id))
    await world.minutes(1)
    const { status, connectionsMoved, connectionsSkipped } = world.migration()
    // The cancellation may also come when it runs already: then both have won, one after the other.
    assert.ok(answers.length >= 1)
    assert.equal(status, 'cancelled')
    assert.deepEqual([world.on('s2').length, world.on('s1').length, world.reserved], [connectionsMoved, 4 - connectionsMoved, 0])
    assert.ok(connectionsMoved + connectionsSkipped <= 4)
  },
)
