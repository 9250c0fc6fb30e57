import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a way home that is only suggested waits for a person',
  { policy: { mode: { default: 'auto', failback: 'suggest' }, failback: { strategy: 'immediate', stableMs: 60_000 } } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.minutes(30)
    assert.deepEqual([world.on('s1'), world.reserved], [[], 0])
    await world.answer(world.engine.evacuations.approve(world.incidents[0]?.failback?.evacuationId ?? ''))
    await world.minutes(2)
    assert.deepEqual([world.on('s1').length, world.incidents[0]?.failback?.state], [4, 'done'])
  },
)
