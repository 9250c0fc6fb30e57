import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a home that fails again before its time begins its time anew',
  { policy: { mode: 'auto', failback: { strategy: 'immediate', stableMs: 300_000 } } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.minutes(4)
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.minutes(4)
    assert.deepEqual([world.moved, world.on('s1')], [4, []])
    await world.minutes(3)
    assert.equal(world.on('s1').length, 4)
  },
)
