import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a store that stalls in a recovery lets no move start after it',
  { users: 12, policy: { mode: 'auto', migration: { concurrency: 1, moveTries: 1 } } },
  async (world) => {
    world.when('transferring', () => {
      world.fault('mover.is_unavailable', 20)
      world.revive('s1')
    })
    world.when('recovering', () => world.fault('store.stalls', 60))
    world.kill('s1')
    await world.minutes(4)
    const recovered = world.incidents[0]?.recoveredAt ?? 0
    assert.ok(recovered > 0)
    assert.ok(world.events.every(({ type, at }) => type !== 'move.started' || at <= recovered))
    assert.equal(world.server('s1').status, 'online')
    assert.equal(world.reserved, 0)
  },
)
