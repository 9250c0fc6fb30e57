import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a call that the network doubles is one move',
  { servers: [{ id: 's1' }, { id: 's2', capacity: 2 }, { id: 's3', capacity: 2 }], panel: { fencing: 'none' } },
  async (world) => {
    world.fault('mover.duplicates', 120)
    world.kill('s1')
    await world.minutes(2)
    assert.deepEqual([world.on('s2').length, world.on('s3').length], [2, 2])
    assert.equal(world.moved, 4)
    assert.equal(world.told('connection.moved').length, 4)
    assert.equal(world.reserved, 0)
  },
)
