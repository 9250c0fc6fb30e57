import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a lease store that fails for less than a lease costs nothing', {}, async (world) => {
  world.kill('s1')
  world.fault('leases.fail', 20)
  await world.seconds(40)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.told('leader.lost').length, 0)
  assert.ok(world.told('warning').some(({ message }) => /lease could not be renewed/.test(message)))
})
