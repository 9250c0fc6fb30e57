import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'while a rollback is not confirmed the key stays',
  {
    servers: 2,
    policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { moveTries: 1, backoffMs: 1000, maxRetries: 2 } },
    users: 1,
  },
  async (world) => {
    for (const kind of ['mover.fails_verify', 'mover.fails_rollback'] as const) world.fault(kind, 10)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(9)
    assert.ok(world.keys.length >= 2)
    assert.deepEqual(new Set(world.keys.map((key) => key.slice(key.lastIndexOf('/') + 1))), new Set(['1']))
    await world.minutes(3)
    assert.equal(world.home('s1-1'), 's2')
  },
)
