import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a suggestion that is cancelled moves nobody and ends its evacuation',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { id } = world.migration()
    const cancelled = await world.answer(world.engine.migrations.cancel(id))
    assert.deepEqual([cancelled.status, cancelled.startedAt, cancelled.connectionsSkipped], ['cancelled', null, 0])
    await world.minutes(5)
    assert.deepEqual(world.steps(), ['suggested → cancelled'])
    assert.deepEqual(
      world.told('migration.cancelled').map(({ why, connectionsMoved }) => [why, connectionsMoved]),
      [['cancelled by an operator', 0]],
    )
    // Nobody is planned anew around that word.
    assert.deepEqual([world.migrations.length, world.moved, world.evacuations[0]?.endedAt === null], [1, 0, false])
  },
)
