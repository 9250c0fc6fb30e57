import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a user whom the host moves in the middle stays where the host put him',
  {
    servers: [{ id: 's1' }, { id: 's2' }, { id: 's3' }, { id: 's4', capacity: 0 }],
    policy: { mode: 'auto', migration: { concurrency: 1 } },
  },
  async (world) => {
    world.when('preparing', () => world.hostMoves('s1-4', 's4'))
    world.kill('s1')
    await world.minutes(2)
    assert.equal(world.home('s1-4'), 's4')
    assert.deepEqual(world.grants('s1-4'), ['s4'])
    assert.deepEqual(
      world.told('connection.move_failed').map(({ connectionId, permanent }) => [connectionId, permanent]),
      [['s1-4', true]],
    )
    assert.equal(world.told('move.started').filter(({ connectionId }) => connectionId === 's1-4').length, 1)
    assert.equal(world.moved, 3)
  },
)
