import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'below the damping ceiling a server may get users',
  { servers: [{ id: 's1' }, { id: 's2' }, { id: 's3', capacity: 0 }], policy: { mode: 'auto', guards: { dampingCeiling: 2 } } },
  async (world) => {
    for (let outage = 0; outage < 2; outage++) {
      world.kill('s2')
      await world.seconds(40)
      world.revive('s2')
      await world.seconds(40)
    }
    world.kill('s1')
    await world.minutes(1)
    assert.equal(world.on('s2').length, 4)
  },
)
