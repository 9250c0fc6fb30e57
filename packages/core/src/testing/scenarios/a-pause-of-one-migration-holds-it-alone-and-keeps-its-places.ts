import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a pause of one migration holds it alone and keeps its places',
  {
    servers: [{ id: 's1' }, { id: 's2', capacity: 3 }, { id: 's3', capacity: 3 }],
    users: 6,
    policy: { mode: 'suggest', placement: { fillLimit: 1 } },
  },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { id, evacuationId, toServerId } = world.migration()
    await world.answer(world.engine.pause({ migrationId: id }))
    await world.answer(world.engine.evacuations.approve(evacuationId))
    await world.minutes(10)
    assert.deepEqual(
      world.migrations.map(({ status }) => status),
      ['scheduled', 'completed'],
    )
    assert.deepEqual([world.on(toServerId), world.report(toServerId).reserved], [[], 3])
    await world.answer(world.engine.resume({ migrationId: id }))
    await world.minutes(1)
    assert.deepEqual([world.on('s1'), world.on(toServerId).length], [[], 3])
  },
)
