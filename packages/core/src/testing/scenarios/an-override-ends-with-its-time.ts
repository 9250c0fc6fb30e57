import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an override ends with its time', { users: { s1: 2, s2: 2 } }, async (world) => {
  world.kill('s1')
  world.kill('s2')
  await world.minutes(1)
  await world.answer(world.engine.pause('all'))
  const incident = world.incidents.find(({ serverId }) => serverId === 's1')
  await world.answer(world.engine.incidents.overrideGuard(incident?.id ?? '', { forMs: 60_000 }))
  await world.seconds(50)
  assert.deepEqual(world.held('s1'), ['paused'])
  await world.minutes(1)
  await world.answer(world.engine.resume('all'))
  await world.minutes(1)
  assert.deepEqual(world.held('s1'), ['mass_failure'])
  assert.equal(world.moved, 0)
})
