import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'while the host scales nobody goes home and afterwards everybody does',
  { guards: true, policy: { mode: 'auto', failback: { strategy: 'immediate', stableMs: 60_000 } } },
  async (world) => {
    world.forbid('scaling')
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.minutes(20)
    assert.deepEqual([world.on('s1'), world.moved], [[], 4])
    world.allow('scaling')
    await world.minutes(2)
    assert.equal(world.on('s1').length, 4)
  },
)
