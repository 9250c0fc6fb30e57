import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash between a move and its telling repeats the move with its key and tells the user',
  { servers: 2, users: 1, notifier: true },
  async (world) => {
    world.crashAt('deliver', 'before')
    await world.answer(world.engine.drain('s1'))
    await world.minutes(3)
    assert.deepEqual([new Set(world.keys).size, world.keys.length, world.moved], [1, 2, 1])
    assert.deepEqual(
      world.delivered.map(({ user, server, access }) => [user, server, access === null]),
      [['s1-1', 's2', false]],
    )
  },
)
