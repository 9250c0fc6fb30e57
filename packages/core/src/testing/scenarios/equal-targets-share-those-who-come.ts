import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('equal targets share those who come', { users: 9 }, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual(
    ['s2', 's3', 's4'].map((server) => world.on(server).length),
    [3, 3, 3],
  )
})
