import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a cordoned home gets nobody back until it is uncordoned',
  {
    policy: {
      mode: 'auto',
      migration: { retryUnplacedMs: 1000 },
      failback: { strategy: 'immediate', stableMs: 300_000, batchIntervalMs: 1000 },
    },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    await world.answer(world.engine.cordon('s1'))
    world.revive('s1')
    await world.minutes(60)
    assert.deepEqual([world.on('s1'), world.server('s1').status], [[], 'online'])
    await world.answer(world.engine.uncordon('s1'))
    // Its time begins with the uncordon.
    await world.minutes(4)
    assert.deepEqual(world.on('s1'), [])
    await world.minutes(2)
    assert.equal(world.on('s1').length, 4)
  },
)
