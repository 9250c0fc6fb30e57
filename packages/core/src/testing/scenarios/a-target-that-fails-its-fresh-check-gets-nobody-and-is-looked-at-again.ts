import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a target that fails its fresh check gets nobody and is looked at again',
  { servers: 2, policy: { mode: 'suggest', detect: { confirm: null, checkIntervalMs: 60_000 } } },
  async (world) => {
    await world.minutes(2)
    await world.answer(world.engine.drain('s1'))
    world.slow('s2', 400)
    await world.answer(world.engine.migrations.approve(world.migration().id))
    await world.seconds(3)
    assert.match(world.migration().errorMessage ?? '', /^target s2 failed a fresh check: /)
    assert.ok(world.migration().retryCount >= 1)
    assert.deepEqual([world.keys, world.reserved], [[], 4])
    world.slow('s2', 0)
    await world.minutes(2)
    assert.deepEqual([world.migration().status, world.on('s1')], ['completed', []])
  },
)
