import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a leader whose lease is taken away lets go and goes on when it has it again',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.fault('leases.are_lost', 0))
    world.kill('s1')
    await world.minutes(4)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.moved, 4)
    assert.equal(world.told('leader.lost').length, 1)
    assert.equal(world.told('leader.acquired').length, 2)
  },
)
