import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a way home that is only observed is decided and moves nobody',
  { policy: { mode: { default: 'auto', failback: 'observe' }, failback: { strategy: 'immediate', stableMs: 60_000 } } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.minutes(30)
    assert.deepEqual([world.on('s1'), world.moved], [[], 4])
    const decided = world.decisions.filter(({ reason }) => reason === 'failback')
    assert.deepEqual(
      decided.map(({ mode, placed }) => [mode, placed]),
      [['observe', 4]],
    )
    assert.equal(world.incidents[0]?.failback?.why, 'mode observe: decided only')
  },
)
