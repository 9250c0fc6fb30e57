import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a damped server is left by its users when it fails',
  { policy: { mode: 'auto', guards: { dampingCeiling: 2 } } },
  async (world) => {
    for (let outage = 0; outage < 4; outage++) {
      world.kill('s1')
      await world.seconds(40)
      world.revive('s1')
      await world.seconds(40)
    }
    assert.ok(world.report('s1').penalty >= 2)
    world.addUser('late', 's1')
    world.kill('s1')
    await world.minutes(1)
    assert.notEqual(world.home('late'), 's1')
  },
)
