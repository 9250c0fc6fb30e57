import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a drain leaves a tenth of each target free and the rest follows when there is room',
  { servers: 2, users: { s1: 4, s2: 7 }, capacity: 10 },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    assert.equal(world.on('s2').length, 9)
    assert.equal(world.on('s1').length, 2)
    for (const id of ['s2-1', 's2-2']) world.removeUser(id)
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
  },
)
