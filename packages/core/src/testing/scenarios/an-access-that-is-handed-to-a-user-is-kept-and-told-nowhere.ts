import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'an access that is handed to a user is kept and told nowhere',
  { servers: 2, users: 2, notifier: true },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    assert.equal(world.delivered.length, 2)
    const seen = JSON.stringify([world.events, world.lines, await world.journal(), world.migrations, world.revokes])
    assert.ok(!seen.includes('profile') && !seen.includes(' at s2'))
  },
)
