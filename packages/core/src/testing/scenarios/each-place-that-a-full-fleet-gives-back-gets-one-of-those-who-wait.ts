import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'each place that a full fleet gives back gets one of those who wait',
  { servers: 3, users: { s1: 3, s2: 4, s3: 4 }, capacity: 4 },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.removeUser('s2-1')
    await world.minutes(2)
    assert.equal(world.on('s2').length, 4)
    assert.equal(world.on('s1').length, 2)
    world.removeUser('s3-1')
    await world.minutes(2)
    assert.equal(world.on('s1').length, 1)
    // Whoever still waits is told of again only for another reason.
    const told = world.told('connection.unplaced').map(({ connectionId, code }) => `${connectionId} ${code}`)
    assert.equal(new Set(told).size, told.length)
  },
)
