import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'with immediate all go home at once when their server has been well for its time',
  { policy: { mode: 'auto', failback: { strategy: 'immediate', stableMs: 300_000 } } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.minutes(4)
    assert.deepEqual([world.on('s1'), world.incidents[0]?.failback?.state], [[], 'waiting'])
    await world.minutes(3)
    assert.deepEqual([world.on('s1').length, world.incidents[0]?.failback?.state, world.incidents[0]?.failback?.moved], [4, 'done', 4])
    const home = world.migrations.filter(({ toServerId }) => toServerId === 's1')
    assert.deepEqual(new Set(home.map(({ reason, triggeredBy }) => `${reason} by ${triggeredBy}`)), new Set(['failback by system']))
    assert.deepEqual(
      world.told('failback.changed').map(({ state, connections, moved }) => [state, connections, moved]),
      [
        ['running', 4, 0],
        ['done', 0, 4],
      ],
    )
  },
)
