import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a second outage is an incident of its own with a decision of its own', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.revive('s1')
  await world.minutes(1)
  world.addUser('new', 's1')
  world.kill('s1')
  await world.minutes(1)
  assert.notEqual(world.home('new'), 's1')
  const [first, second] = world.incidents
  assert.ok(first?.decisionId && second?.decisionId && first.decisionId !== second.decisionId)
  assert.deepEqual(
    world.decisions.map(({ incidentId, connections }) => [incidentId, connections]),
    [
      [first.id, 4],
      [second.id, 1],
    ],
  )
})
