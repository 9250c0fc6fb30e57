import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a user whom the host has put on his target already is left in peace there',
  { servers: 2, users: 12, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.hostMoves('s1-9', 's2'))
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    assert.deepEqual([world.grants('s1-9'), world.on('s1'), world.on('s2').length], [['s2'], [], 12])
    assert.deepEqual([world.migration().status, world.migration().connectionsFailed, world.moved], ['completed', 0, 11])
  },
)
