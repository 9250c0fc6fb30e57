import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a second drain takes only the room that the first one leaves',
  {
    servers: [{ id: 's1' }, { id: 's2' }, { id: 's3', capacity: 5 }, { id: 's4', capacity: 5 }],
    users: { s1: 6, s2: 6 },
    policy: { mode: 'auto', placement: { fillLimit: 1 }, migration: { concurrency: 1 } },
  },
  async (world) => {
    await world.answer(world.engine.cordon('s2'))
    await world.answer(world.engine.drain('s1'))
    // While the first one is under way: what it has reserved is not there any more.
    assert.ok(world.reserved > 0)
    await world.answer(world.engine.drain('s2'))
    await world.minutes(1)
    assert.deepEqual([world.on('s3').length, world.on('s4').length], [5, 5])
    assert.equal(world.on('s1').length + world.on('s2').length, 2)
    assert.deepEqual(
      world.told('connection.unplaced').map(({ code, serverId }) => [code, serverId]),
      [
        ['no_capacity', 's2'],
        ['no_capacity', 's2'],
      ],
    )
  },
)
