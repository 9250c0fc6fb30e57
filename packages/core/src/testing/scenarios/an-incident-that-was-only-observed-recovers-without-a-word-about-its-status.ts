import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'an incident that was only observed recovers without a word about its status',
  { policy: { mode: 'observe' } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.minutes(1)
    assert.deepEqual(
      world.told('incident.recovered').map(({ statusRestored, advice }) => [statusRestored, advice]),
      [[false, null]],
    )
    assert.deepEqual(world.told('server.status_set'), [])
  },
)
