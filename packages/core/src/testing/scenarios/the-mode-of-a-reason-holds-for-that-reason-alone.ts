import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the mode of a reason holds for that reason alone',
  { users: { s1: 2, s2: 2 }, policy: { mode: { default: 'suggest', 'server-down': 'auto' } } },
  async (world) => {
    const { id } = await world.answer(world.engine.drain('s2'))
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    assert.deepEqual(world.on('s2'), ['s2-1', 's2-2'])
    assert.equal((await world.answer(world.engine.evacuations.get(id))).status, 'suggested')
  },
)
