import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a hold is told when it begins and when its reasons change', { users: { s1: 2, s2: 2 } }, async (world) => {
  world.kill('s1')
  world.kill('s2')
  await world.minutes(3)
  const told = () =>
    world
      .told('incident.held')
      .filter(({ serverId }) => serverId === 's1')
      .map(({ guards }) => guards.map(({ guard }) => guard))
  assert.deepEqual(told(), [['mass_failure']])
  await world.answer(world.engine.pause('all'))
  await world.minutes(3)
  assert.deepEqual(told(), [['mass_failure'], ['paused', 'mass_failure']])
})
