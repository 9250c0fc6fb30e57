import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a leader alone that stood still goes on when it thaws and repeats nothing',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.freeze(200))
    world.kill('s1')
    await world.minutes(2)
    assert.ok(world.on('s1').length > 0)
    await world.minutes(4)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.moved, 4)
    assert.equal(world.told('connection.moved').length, 4)
  },
)
