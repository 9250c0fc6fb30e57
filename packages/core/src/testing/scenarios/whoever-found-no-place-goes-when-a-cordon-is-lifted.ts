import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('whoever found no place goes when a cordon is lifted', { servers: 3 }, async (world) => {
  for (const id of ['s2', 's3']) await world.answer(world.engine.cordon(id))
  world.kill('s1')
  await world.minutes(2)
  assert.equal(world.on('s1').length, 4)
  assert.equal(new Set(world.told('connection.unplaced').map(({ connectionId }) => connectionId)).size, 4)
  await world.answer(world.engine.uncordon('s3'))
  await world.minutes(1)
  assert.deepEqual([world.on('s1'), world.on('s2'), world.on('s3').length], [[], [], 4])
})
