import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a migration that is cancelled in its transfer lets settle what is under way and starts nothing more',
  { servers: 2, users: 12, policy: { mode: 'auto', migration: { concurrency: 2 } } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.until('two have moved', () => world.moved >= 2)
    const asked = world.keys.length
    const answer = world.answer(world.engine.migrations.cancel(world.migration().id))
    await world.minutes(5)
    assert.equal((await answer).cancelledWhy, 'cancelled by an operator')
    const { status, connectionsMoved, connectionsSkipped } = world.migration()
    assert.deepEqual([status, connectionsMoved, connectionsSkipped], ['cancelled', asked, 12 - asked])
    assert.deepEqual([world.keys.length, world.on('s2').length, world.reserved], [asked, asked, 0])
    assert.equal(world.steps().at(-1), 'transferring → cancelled')
  },
)
