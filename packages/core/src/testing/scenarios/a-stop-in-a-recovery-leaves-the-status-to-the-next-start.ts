import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a stop in a recovery leaves the status to the next start', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.when('recovering', () => world.redeploy())
  world.revive('s1')
  await world.minutes(1)
  assert.equal(world.server('s1').status, 'online')
  assert.deepEqual(
    world.incidents.map(({ status }) => status),
    ['closed'],
  )
})
