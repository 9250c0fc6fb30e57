import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a call that arrives after it was given up moves its user once',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { timeoutMs: 2000 } }, users: 1 },
  async (world) => {
    world.fault('mover.arrives_late', 3)
    world.kill('s1')
    await world.minutes(2)
    assert.equal(world.home('s1-1'), 's2')
    assert.equal(world.moved, 1)
    assert.equal(new Set(world.keys).size, 1)
    assert.equal(world.told('connection.moved').length, 1)
  },
)
