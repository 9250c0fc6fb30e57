import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'damping is told when it begins and when it is over',
  { policy: { mode: 'auto', guards: { dampingCeiling: 2, dampingHalfLifeMs: 300_000 } } },
  async (world) => {
    for (let outage = 0; outage < 5; outage++) {
      world.kill('s2')
      await world.seconds(40)
      world.revive('s2')
      await world.seconds(40)
    }
    const [damped] = world.told('server.damped')
    assert.equal(damped?.outagesLastHour, 3)
    await world.minutes(15)
    assert.equal(world.told('server.damped').length, 1)
    const [over] = world.events.filter(({ type }) => type === 'server.undamped')
    assert.ok(over && over.at > damped.until, 'it is not over before it was foretold')
  },
)
