import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'while no canary answers nothing is known',
  { policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } } },
  async (world) => {
    await world.seconds(20)
    world.blind(true)
    await world.minutes(2)
    assert.equal(world.engine.status().counts.unknown, 4)
    assert.equal(world.report('s1').verdict.reasons[0].code, 'vantage_unhealthy')
    world.blind(false)
    await world.minutes(1)
    assert.equal(world.engine.status().counts.up, 4)
    assert.deepEqual(world.incidents, [])
  },
)
