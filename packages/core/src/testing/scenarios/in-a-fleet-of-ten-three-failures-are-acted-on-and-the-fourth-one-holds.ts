import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'in a fleet of ten three failures are acted on and the fourth one holds',
  { servers: 10, users: { s1: 1, s2: 1, s3: 1, s4: 1 } },
  async (world) => {
    for (const server of ['s1', 's2', 's3']) world.kill(server)
    await world.minutes(1)
    assert.deepEqual(
      ['s1', 's2', 's3'].flatMap((server) => world.on(server)),
      [],
    )
    world.kill('s4')
    await world.minutes(2)
    assert.equal(world.home('s4-1'), 's4')
    assert.deepEqual(world.held('s4'), ['mass_failure'])
  },
)
