import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a new leader still shows the guard that holds an incident', { servers: 4 }, async (world) => {
  for (const id of ['s1', 's2', 's3']) world.kill(id)
  await world.until('a guard holds', () => world.held('s1').length > 0)
  const told = world.told('guard.denied').length
  world.crash()
  await world.minutes(3)
  assert.deepEqual(
    world.engine.status().guards.map(({ guard }) => guard),
    ['mass_failure'],
  )
  assert.equal(world.told('guard.denied').length, told)
})
