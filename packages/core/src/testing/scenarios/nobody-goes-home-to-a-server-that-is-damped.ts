import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'nobody goes home to a server that is damped',
  {
    policy: {
      mode: 'auto',
      guards: { dampingCeiling: 2, dampingHalfLifeMs: 600_000 },
      failback: { strategy: 'immediate', stableMs: 90_000 },
    },
  },
  async (world) => {
    for (let outage = 0; outage < 4; outage++) {
      world.kill('s1')
      await world.seconds(40)
      world.revive('s1')
      await world.seconds(40)
    }
    await world.minutes(5)
    assert.deepEqual([world.on('s1'), world.told('server.undamped')], [[], []])
    await world.until('it is damped no more', () => world.told('server.undamped').length > 0, 60)
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    await world.minutes(2)
    assert.equal(world.on('s1').length, 4)
  },
)
