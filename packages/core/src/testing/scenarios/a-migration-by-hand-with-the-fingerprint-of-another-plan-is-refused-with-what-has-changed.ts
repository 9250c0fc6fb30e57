import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a migration by hand with the fingerprint of another plan is refused with what has changed',
  { servers: 3 },
  async (world) => {
    const { fingerprint } = await world.answer(world.engine.plan({ drain: ['s1'] }))
    await world.answer(world.engine.cordon('s2'))
    const { code, message, remedy } = await world.refused(world.engine.migrations.create({ serverId: 's1', fingerprint }))
    assert.equal(code, 'plan_stale')
    assert.match(message, /^the world has changed since this plan/)
    assert.match(remedy ?? '', /Plan again/)
    assert.deepEqual(world.migrations, [])
  },
)
