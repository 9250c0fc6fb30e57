import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a server list that comes back empty is not believed', {}, async (world) => {
  world.fault('registry.answers_nothing', 120)
  await world.minutes(2)
  assert.equal(world.engine.status().servers.length, 4)
  assert.equal(world.engine.status().registry.stale, true)
  await world.minutes(1)
  assert.equal(world.engine.status().registry.stale, false)
  assert.deepEqual(world.told('server.removed'), [])
})
