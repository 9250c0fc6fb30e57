import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a user deleted in the middle costs nobody else his move',
  { servers: 3, users: 6, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.removeUser('s1-6'))
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.moved, 5)
    assert.deepEqual(
      world.told('connection.move_failed').map(({ connectionId, permanent }) => [connectionId, permanent]),
      [['s1-6', true]],
    )
    assert.ok(world.migrations.every(({ status }) => status === 'completed'))
    assert.equal(world.evacuations[0]?.status, 'completed')
  },
)
