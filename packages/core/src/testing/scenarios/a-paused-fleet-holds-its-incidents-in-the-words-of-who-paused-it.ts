import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a paused fleet holds its incidents in the words of who paused it', {}, async (world) => {
  await world.answer(world.engine.pause('all', { reason: 'fibre cut in Lyon' }))
  world.kill('s1')
  await world.minutes(1)
  assert.match(world.told('incident.held')[0]?.guards[0]?.message ?? '', /paused by an operator until resumed: fibre cut in Lyon/)
  assert.equal(world.moved, 0)
  await world.answer(world.engine.resume('all'))
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
})
