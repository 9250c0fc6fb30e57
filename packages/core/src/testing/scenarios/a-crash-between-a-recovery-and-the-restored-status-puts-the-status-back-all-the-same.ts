import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a crash between a recovery and the restored status puts the status back all the same', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  assert.equal(world.server('s1').status, 'offline')
  world.when('recovering', () => world.crash())
  world.revive('s1')
  await world.minutes(2)
  assert.equal(world.server('s1').status, 'online')
  assert.equal(world.incidents[0]?.status, 'closed')
  assert.equal(world.moved, 4)
})
