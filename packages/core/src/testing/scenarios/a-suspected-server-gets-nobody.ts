import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a suspected server gets nobody',
  { servers: 8, policy: { mode: 'auto', detect: { confirm: { durationMs: 30_000 } } } },
  async (world) => {
    world.kill('s1')
    await world.seconds(20)
    world.kill('s2')
    await world.until('it is decided', () => world.decisions.length > 0)
    assert.equal(world.decisions[0]?.cohorts[0]?.exclusions.suspect, 1)
    world.revive('s2')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    assert.deepEqual(world.on('s2'), [])
  },
)
