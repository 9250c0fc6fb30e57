import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('users that one listing missed are found by the next', { users: 8 }, async (world) => {
  world.fault('registry.misses_connections', 20)
  world.kill('s1')
  await world.minutes(2)
  assert.deepEqual(world.on('s1'), [])
  assert.ok((world.decisions[0]?.connections ?? 8) < 8)
})
