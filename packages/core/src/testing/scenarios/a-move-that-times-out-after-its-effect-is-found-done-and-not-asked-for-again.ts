import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a move that times out after its effect is found done and not asked for again',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { timeoutMs: 2000 } } },
  async (world) => {
    world.fault('mover.times_out_after_success', 60)
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.keys.length, 4)
    assert.equal(world.told('connection.moved').length, 4)
    assert.deepEqual(world.told('connection.move_failed'), [])
  },
)
