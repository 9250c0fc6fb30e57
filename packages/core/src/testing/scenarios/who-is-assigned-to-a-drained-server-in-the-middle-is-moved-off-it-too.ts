import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'who is assigned to a drained server in the middle is moved off it too',
  { servers: 3, users: 10, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.addUser('new', 's1'))
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
    assert.notEqual(world.home('new'), 's1')
    assert.deepEqual([world.evacuations.length, world.evacuations[0]?.status, world.evacuations[0]?.moved], [1, 'completed', 11])
  },
)
