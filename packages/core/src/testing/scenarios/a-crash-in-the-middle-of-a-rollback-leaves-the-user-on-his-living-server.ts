import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash in the middle of a rollback leaves the user on his living server',
  {
    servers: 2,
    policy: {
      mode: 'auto',
      detect: { canaries: [{ host: '192.0.2.1' }] },
      migration: { moveTries: 1, maxRetries: 0, retryUnplacedMs: 600_000 },
    },
    users: 1,
  },
  async (world) => {
    world.fault('mover.fails_verify', 120)
    world.crashAt('rollback', 'after')
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1.5)
    assert.equal(world.home('s1-1'), 's1')
    assert.deepEqual(world.grants('s1-1'), ['s1'])
    assert.deepEqual(
      world.migrations.map(({ status, residue }) => [status, residue]),
      [['failed', []]],
    )
  },
)
