import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a recovery puts back the status that we wrote and closes the incident', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  assert.equal(world.server('s1').status, 'offline')
  world.revive('s1')
  await world.minutes(1)
  assert.equal(world.server('s1').status, 'online')
  assert.deepEqual(
    world.told('server.status_set').map(({ previous, status }) => [previous, status]),
    [
      ['online', 'offline'],
      ['offline', 'online'],
    ],
  )
  assert.deepEqual(
    world.told('incident.recovered').map(({ statusRestored, advice }) => [statusRestored, advice]),
    [[true, null]],
  )
  assert.equal(world.incidents[0]?.status, 'closed')
})
