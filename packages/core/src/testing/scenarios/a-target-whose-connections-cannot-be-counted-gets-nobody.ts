import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a target whose connections cannot be counted gets nobody',
  { registry: { tellsLoad: false } },
  async (world) => {
    world.unlistable('s2')
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    assert.deepEqual(world.on('s2'), [])
    assert.equal(world.decisions[0]?.cohorts[0]?.exclusions.load_unknown, 1)
  },
)
