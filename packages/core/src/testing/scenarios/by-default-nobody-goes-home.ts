import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('by default nobody goes home', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.revive('s1')
  await world.minutes(120)
  assert.deepEqual([world.on('s1'), world.moved, world.server('s1').status], [[], 4, 'online'])
  assert.deepEqual([world.incidents[0]?.failback, world.told('failback.changed')], [null, []])
})
