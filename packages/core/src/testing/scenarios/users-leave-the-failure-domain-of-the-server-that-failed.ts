import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'users leave the failure domain of the server that failed',
  {
    servers: [
      { id: 's1', failureDomain: 'rack-a' },
      { id: 's2', failureDomain: 'rack-a' },
      { id: 's3', failureDomain: 'rack-b' },
    ],
    users: 1,
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.equal(world.home('s1-1'), 's3')
  },
)
