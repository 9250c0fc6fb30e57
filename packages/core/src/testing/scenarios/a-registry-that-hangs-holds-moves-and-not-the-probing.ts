import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a registry that hangs holds moves and not the probing', {}, async (world) => {
  world.fault('registry.hangs', 60)
  await world.seconds(30)
  assert.equal(world.engine.status().registry.stale, true)
  world.kill('s1')
  await world.seconds(25)
  assert.equal(world.report('s1').verdict.verdict, 'down')
  assert.deepEqual(world.held('s1'), ['registry_stale'])
  await world.minutes(3)
  assert.deepEqual(world.on('s1'), [])
})
