import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a drain that was begun goes on after a crash',
  { users: 16, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    const { id } = await world.answer(world.engine.drain('s1'))
    world.crash()
    const left = world.on('s1').length
    assert.ok(left > 0 && left < 16)
    await world.minutes(3)
    assert.deepEqual(world.on('s1'), [])
    assert.deepEqual([world.moved, world.evacuations.length], [16, 1])
    assert.equal((await world.answer(world.engine.evacuations.get(id))).moved, 16)
  },
)
