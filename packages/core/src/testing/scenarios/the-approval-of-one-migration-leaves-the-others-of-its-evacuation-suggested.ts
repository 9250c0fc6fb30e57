import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the approval of one migration leaves the others of its evacuation suggested',
  {
    servers: [{ id: 's1' }, { id: 's2', capacity: 3 }, { id: 's3', capacity: 3 }],
    users: 6,
    policy: { mode: 'suggest', placement: { fillLimit: 1 } },
  },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    assert.equal(world.migrations.length, 2)
    const { id, toServerId } = world.migration()
    await world.answer(world.engine.migrations.approve(id))
    await world.minutes(5)
    assert.deepEqual(
      world.migrations.map(({ status }) => status),
      ['completed', 'suggested'],
    )
    assert.deepEqual([world.on(toServerId).length, world.on('s1').length, world.reserved], [3, 3, 0])
    await world.answer(world.engine.evacuations.approve(world.migration().evacuationId))
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
  },
)
