import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a migration that waits for its retry holds its places',
  {
    servers: 2,
    policy: {
      mode: 'auto',
      detect: { canaries: [{ host: '192.0.2.1' }] },
      migration: { moveTries: 1, backoffMs: 30_000, backoffMaxMs: 30_000 },
    },
  },
  async (world) => {
    world.fault('mover.is_unavailable', 3)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(10)
    assert.equal(world.engine.status().migrations[0]?.status, 'scheduled')
    assert.equal(world.report('s2').reserved, 4)
    await world.minutes(2)
    assert.equal(world.reserved, 0)
    assert.equal(world.on('s2').length, 4)
  },
)
