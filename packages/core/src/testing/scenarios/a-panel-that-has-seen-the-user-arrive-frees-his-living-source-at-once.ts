import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a panel that has seen the user arrive frees his living source at once',
  { users: 1, panel: { confirmation: 'seen' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.seconds(5)
    assert.equal(world.grants('s1-1').length, 1)
    assert.ok(!world.grants('s1-1').includes('s1'))
  },
)
