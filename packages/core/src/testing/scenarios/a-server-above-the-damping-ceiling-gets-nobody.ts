import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a server above the damping ceiling gets nobody',
  { policy: { mode: 'auto', guards: { dampingCeiling: 2 } } },
  async (world) => {
    for (let outage = 0; outage < 3; outage++) {
      world.kill('s2')
      await world.seconds(40)
      world.revive('s2')
      await world.seconds(40)
    }
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    assert.deepEqual(world.on('s2'), [])
    assert.equal(world.decisions.at(-1)?.cohorts[0]?.exclusions.damped, 1)
  },
)
