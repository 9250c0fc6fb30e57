import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'without fencing a leader that thaws after its lease starts no call',
  { engines: 2, users: 8, panel: { fencing: 'none' }, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    let thawsAt = Number.POSITIVE_INFINITY
    const frozen = world.engine
    world.when('transferring', () => {
      world.freeze(150)
      thawsAt = world.now + 150_000
    })
    world.kill('s1')
    await world.minutes(5)
    const held = world.told('leader.acquired').map(({ token }) => token)
    assert.equal(held.length, 2)
    assert.deepEqual(
      world.calls.filter(({ at, move }) => at >= thawsAt && move?.fencingToken === held[0]),
      [],
    )
    assert.notEqual(frozen.status().state, 'leading')
    assert.deepEqual([world.on('s1').length, world.moved], [0, 8])
  },
)
