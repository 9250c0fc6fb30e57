import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash before and after the effect of many moves loses none and does none twice',
  { users: 12, engines: 1 },
  async (world) => {
    world.crashAt('move', 'after', 5)
    world.kill('s1')
    await world.seconds(40)
    world.crashAt('verify', 'before', 1)
    await world.minutes(3)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.moved, 12)
    const moved = world.told('connection.moved').map(({ connectionId }) => connectionId)
    assert.deepEqual([moved.length, new Set(moved).size], [12, 12])
  },
)
