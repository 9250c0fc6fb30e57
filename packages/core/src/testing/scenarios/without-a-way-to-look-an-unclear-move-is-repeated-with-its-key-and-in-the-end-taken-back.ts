import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'without a way to look an unclear move is repeated with its key and in the end taken back',
  { users: 1, panel: { has: ['rollback'] } },
  async (world) => {
    world.fault('mover.fails_unclearly', 30)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(29)
    const [first = ''] = world.keys
    assert.ok(world.keys.filter((key) => key === first).length === 3, 'three tries of one move carry one key')
    assert.ok(world.calls.some(({ name, move }) => name === 'rollback' && move?.key === first))
    assert.deepEqual(world.grants('s1-1'), ['s1'])
    await world.minutes(2)
    assert.notEqual(world.home('s1-1'), 's1')
  },
)
