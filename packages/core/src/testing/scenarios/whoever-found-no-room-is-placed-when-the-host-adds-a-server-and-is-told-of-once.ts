import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'whoever found no room is placed when the host adds a server and is told of once',
  { servers: 3, users: { s1: 3, s2: 4, s3: 4 }, capacity: 4 },
  async (world) => {
    world.kill('s1')
    await world.minutes(3)
    assert.equal(world.on('s1').length, 3)
    world.add('s4')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    assert.deepEqual(
      world.told('connection.unplaced').map(({ connectionId }) => connectionId),
      ['s1-1', 's1-2', 's1-3'],
    )
    assert.deepEqual(world.evacuations[0]?.unplaced, [])
  },
)
