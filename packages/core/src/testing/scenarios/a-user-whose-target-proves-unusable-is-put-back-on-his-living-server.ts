import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a user whose target proves unusable is put back on his living server',
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
    world.fault('mover.fails_verify', 60)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(30)
    assert.equal(world.home('s1-1'), 's1')
    assert.deepEqual(world.grants('s1-1'), ['s1'])
    assert.equal(world.told('connection.move_failed')[0]?.rolledBack, true)
    assert.match(world.migrations[0]?.errorMessage ?? '', /not usable on the target/)
  },
)
