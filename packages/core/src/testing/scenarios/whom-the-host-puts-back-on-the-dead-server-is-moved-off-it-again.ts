import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('whom the host puts back on the dead server is moved off it again', { users: 2 }, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  world.hostMoves('s1-1', 's1')
  await world.minutes(5)
  assert.deepEqual(world.on('s1'), [])
})
