import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the way home keeps the fill limit and the places of those who are there',
  {
    servers: [{ id: 's1', capacity: 10 }, { id: 's2' }, { id: 's3' }],
    users: 8,
    policy: { mode: 'auto', placement: { fillLimit: 0.8 }, failback: { strategy: 'immediate', stableMs: 60_000 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    for (let user = 0; user < 3; user++) world.addUser(`new-${user}`, 's1')
    await world.minutes(10)
    // Eight of ten may be there, and three of them are new.
    assert.deepEqual([world.on('s1').length, world.on('s2').length + world.on('s3').length], [8, 3])
  },
)
