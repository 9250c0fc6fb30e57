import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a drained server is emptied and gets nobody back', {}, async (world) => {
  const { id } = await world.answer(world.engine.drain('s1'))
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  assert.deepEqual(world.evacuations.find((one) => one.id === id)?.status, 'completed')
  const dead = world.home('s1-1')
  world.kill(dead)
  await world.minutes(1)
  assert.deepEqual([world.on(dead), world.on('s1')], [[], []])
})
