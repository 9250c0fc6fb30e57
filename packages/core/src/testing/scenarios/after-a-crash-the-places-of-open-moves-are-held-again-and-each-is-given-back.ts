import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'after a crash the places of open moves are held again and each is given back',
  {
    servers: 2,
    policy: {
      mode: 'auto',
      detect: { canaries: [{ host: '192.0.2.1' }] },
      migration: { concurrency: 1, backoffMs: 300_000, backoffMaxMs: 300_000, moveTries: 1 },
    },
    users: 10,
  },
  async (world) => {
    world.fault('mover.is_unavailable', 3)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(10)
    world.crash()
    await world.minutes(1.1)
    assert.equal(world.report('s2').reserved, 10)
    await world.minutes(8)
    assert.deepEqual([world.on('s2').length, world.reserved, world.report('s2').load], [10, 0, 10])
  },
)
