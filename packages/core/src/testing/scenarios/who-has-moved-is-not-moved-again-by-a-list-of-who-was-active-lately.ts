import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'who has moved is not moved again by a list of who was active lately',
  { registry: { coverage: 'active' } },
  async (world) => {
    const { id } = await world.answer(world.engine.drain('s1'))
    await world.minutes(10)
    assert.deepEqual([world.on('s1'), world.moved, world.keys.length], [[], 4, 4])
    assert.equal((await world.answer(world.engine.evacuations.get(id))).status, 'completed')
  },
)
