import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a retry that waits is waited for after a restart too',
  {
    servers: 2,
    policy: {
      mode: 'auto',
      detect: { canaries: [{ host: '192.0.2.1' }] },
      migration: { moveTries: 1, backoffMs: 60_000, backoffMaxMs: 60_000 },
    },
    users: 1,
  },
  async (world) => {
    world.fault('mover.is_unavailable', 3)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(5)
    const due = world.migrations[0]?.notBefore ?? 0
    world.crash()
    await world.minutes(3)
    const again = world.events.findLast(({ type }) => type === 'move.started')?.at ?? 0
    assert.ok(again >= due && again < due + 30_000, `due ${due}, started ${again}`)
    assert.equal(world.migrations[0]?.retryCount, 1)
    assert.equal(world.home('s1-1'), 's2')
  },
)
