import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a try after a confirmed rollback has a new key',
  {
    servers: 2,
    policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { moveTries: 1, backoffMs: 1000 } },
    users: 1,
  },
  async (world) => {
    world.when('transferring', () => world.fault('mover.fails_verify', 0.8))
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    const attempts = world.keys.map((key) => key.slice(key.lastIndexOf('/') + 1))
    assert.deepEqual(attempts, ['1', '2'])
    assert.equal(world.home('s1-1'), 's2')
  },
)
