import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'who moves only in a failure stays in a drain and leaves a dead server',
  { mobility: { 's1-1': 'failure-only' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), ['s1-1'])
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
  },
)
