import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a named target is the only one and who finds no room there stays',
  {
    servers: [{ id: 's1' }, { id: 's2', capacity: 3 }, { id: 's3' }],
    policy: { mode: 'auto', placement: { fillLimit: 1 }, migration: { retryUnplacedMs: 10_000 } },
  },
  async (world) => {
    await world.answer(world.engine.migrations.create({ serverId: 's1', toServerId: 's2', autoApprove: true }))
    await world.minutes(10)
    assert.deepEqual([world.on('s1').length, world.on('s2').length, world.on('s3')], [1, 3, []])
    assert.deepEqual(
      world.told('connection.unplaced').map(({ code }) => code),
      ['no_capacity'],
    )
    world.capacity('s2', 4)
    await world.minutes(2)
    assert.deepEqual([world.on('s1'), world.on('s2').length], [[], 4])
  },
)
