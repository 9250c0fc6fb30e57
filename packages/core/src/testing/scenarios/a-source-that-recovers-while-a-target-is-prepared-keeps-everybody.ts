import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a source that recovers while a target is prepared keeps everybody',
  { policy: { mode: 'auto', migration: { backoffMs: 60_000, backoffMaxMs: 60_000, timeoutMs: 20_000 } } },
  async (world) => {
    world.when('preparing', () => {
      world.fault('mover.fails_prepare', 30)
      world.revive('s1')
    })
    world.kill('s1')
    await world.minutes(4)
    assert.equal(world.moved, 0)
    assert.equal(world.on('s1').length, 4)
    assert.deepEqual(
      world.evacuations.map(({ status }) => status),
      ['cancelled'],
    )
    assert.equal(world.reserved, 0)
  },
)
