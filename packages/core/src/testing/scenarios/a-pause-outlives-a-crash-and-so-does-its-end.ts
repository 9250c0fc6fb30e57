import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a pause outlives a crash and so does its end', {}, async (world) => {
  await world.answer(world.engine.pause('all', { forMs: 600_000, reason: 'fibre cut' }))
  world.kill('s1')
  await world.minutes(1)
  world.crash()
  await world.minutes(8)
  assert.deepEqual([world.held('s1'), world.moved], [['paused'], 0])
  assert.deepEqual(
    world.engine.status().pauses.map(({ scope, reason }) => [scope, reason]),
    [['all', 'fibre cut']],
  )
  await world.minutes(3)
  assert.deepEqual(world.on('s1'), [])
})
