import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'an inactive server is adopted when it has answered for its time',
  { policy: { mode: 'auto', failback: { adoptInactive: true, stableMs: 300_000 } } },
  async (world) => {
    await world.minutes(10)
    world.status('s2', 'offline')
    await world.minutes(4)
    assert.equal(world.server('s2').status, 'offline')
    await world.minutes(2)
    assert.equal(world.server('s2').status, 'online')
    assert.deepEqual(
      world.told('server.status_set').map(({ serverId, status, previous, incidentId }) => [serverId, status, previous, incidentId]),
      [['s2', 'online', 'offline', null]],
    )
  },
)
