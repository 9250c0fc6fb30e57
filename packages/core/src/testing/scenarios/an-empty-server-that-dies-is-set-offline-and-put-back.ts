import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an empty server that dies is set offline and put back', { users: 0 }, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  assert.equal(world.server('s1').status, 'offline')
  assert.deepEqual(world.migrations, [])
  world.revive('s1')
  await world.minutes(1)
  assert.equal(world.server('s1').status, 'online')
})
