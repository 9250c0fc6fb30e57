import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a server that died while no engine ran is evacuated', {}, async (world) => {
  world.kill('s1')
  world.crash()
  await world.minutes(2)
  assert.deepEqual(world.on('s1'), [])
})
