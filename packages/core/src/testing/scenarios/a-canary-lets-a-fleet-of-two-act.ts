import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a canary lets a fleet of two act',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } } },
  async (world) => {
    await world.seconds(20)
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.on('s2').length, 4)
  },
)
