import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'in a fleet of one nobody is moved and the operator is told',
  { servers: 1, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } } },
  async (world) => {
    await world.seconds(20)
    world.kill('s1')
    await world.minutes(2)
    assert.deepEqual(world.held('s1'), ['all_down'])
    assert.match(world.told('guard.denied')[0]?.message ?? '', /none of 1 servers answers/)
  },
)
