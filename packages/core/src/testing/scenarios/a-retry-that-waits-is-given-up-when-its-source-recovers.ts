import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a retry that waits is given up when its source recovers',
  {
    servers: 2,
    policy: {
      mode: 'auto',
      detect: { canaries: [{ host: '192.0.2.1' }] },
      migration: { moveTries: 1, backoffMs: 40_000, backoffMaxMs: 40_000 },
    },
  },
  async (world) => {
    world.fault('mover.is_unavailable', 25)
    world.kill('s1')
    await world.seconds(24)
    assert.equal(world.migrations[0]?.status, 'scheduled')
    world.revive('s1')
    await world.minutes(3)
    assert.deepEqual([world.migrations[0]?.status, world.moved, world.reserved], ['cancelled', 0, 0])
    assert.equal(world.on('s1').length, 4)
  },
)
