import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a grant that was given half is taken back before its move is called failed',
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
    world.fault('mover.fails_halfway', 60)
    // The panel keeps what it has broken off, and says that it is not there.
    world.fault('mover.fails_locate', 60)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(30)
    assert.deepEqual(world.grants('s1-1'), ['s1'])
    assert.deepEqual(
      world.told('connection.move_failed').map(({ rolledBack, permanent }) => [rolledBack, permanent]),
      [[true, false]],
    )
    assert.deepEqual(
      world.migrations.map(({ status, rollbackSuccess, residue }) => [status, rollbackSuccess, residue]),
      [['failed', true, []]],
    )
  },
)
