import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a revoke that fails leaves its migration completed with a warning and is tried with pauses',
  {
    servers: 2,
    policy: {
      mode: 'auto',
      detect: { canaries: [{ host: '192.0.2.1' }] },
      migration: { revokeGraceMs: 0, backoffMs: 1000, backoffMaxMs: 8000 },
    },
    users: 1,
  },
  async (world) => {
    world.fault('mover.fails_complete', 60)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(59)
    assert.equal(world.migrations[0]?.status, 'completed')
    assert.equal(world.migrations[0]?.warnings.length, 1)
    assert.match(world.revokes[0]?.lastError ?? '', /could not revoke/)
    const tries = world.calls.filter(({ name }) => name === 'complete').length
    assert.ok(tries >= 5 && tries <= 16, `${tries} tries in a minute`)
    assert.equal(world.told('revoke.pending').length, 1)
    await world.minutes(1)
    assert.deepEqual([world.grants('s1-1'), world.engine.status().pendingRevokes], [['s2'], 0])
  },
)
