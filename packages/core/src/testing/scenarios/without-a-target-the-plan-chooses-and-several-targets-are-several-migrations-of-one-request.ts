import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'without a target the plan chooses and several targets are several migrations of one request',
  {
    servers: [{ id: 's1' }, { id: 's2', capacity: 3 }, { id: 's3', capacity: 3 }],
    users: 6,
    policy: { mode: 'auto', placement: { fillLimit: 1 } },
  },
  async (world) => {
    const first = await world.answer(world.engine.migrations.create({ serverId: 's1', autoApprove: true, notes: 'ticket 9' }))
    await world.minutes(1)
    assert.deepEqual(
      world.migrations.map(({ evacuationId, notes }) => [evacuationId, notes]),
      [
        [first.evacuationId, 'ticket 9'],
        [first.evacuationId, 'ticket 9'],
      ],
    )
    assert.equal(world.migration().id, first.id)
    assert.deepEqual([world.on('s2').length, world.on('s3').length], [3, 3])
  },
)
