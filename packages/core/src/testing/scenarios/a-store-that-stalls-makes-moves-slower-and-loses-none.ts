import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a store that stalls makes moves slower and loses none', { users: 8 }, async (world) => {
  world.when('preparing', () => world.fault('store.stalls', 120))
  world.kill('s1')
  await world.minutes(6)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.moved, 8)
  assert.equal(world.told('connection.moved').length, 8)
  assert.equal(world.evacuations[0]?.status, 'completed')
})
