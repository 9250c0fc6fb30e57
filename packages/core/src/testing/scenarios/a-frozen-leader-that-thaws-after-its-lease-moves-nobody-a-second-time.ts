import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a frozen leader that thaws after its lease moves nobody a second time',
  { engines: 2, users: 8, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.freeze(150))
    world.kill('s1')
    await world.minutes(5)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.moved, 8)
    const moved = world.told('connection.moved').map(({ connectionId }) => connectionId)
    assert.deepEqual([moved.length, new Set(moved).size], [8, 8])
    assert.equal(world.told('leader.acquired').length, 2)
    assert.ok(world.told('leader.lost').length >= 1)
  },
)
