import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'each user is told where he is now before his old grant is taken back',
  { servers: 2, users: 2, notifier: true, panel: { confirmation: 'seen' }, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    const heard = world.calls.filter(({ move }) => move?.connection.id === 's1-1').map(({ name }) => name)
    assert.deepEqual(heard, ['move', 'verify', 'deliver', 'complete'])
    // With what the panel gave for the new place: nobody waits between two servers.
    assert.deepEqual(world.delivered, [
      { user: 's1-1', server: 's2', access: { server: 's2', profile: 's1-1 at s2' } },
      { user: 's1-2', server: 's2', access: { server: 's2', profile: 's1-2 at s2' } },
    ])
    assert.deepEqual([world.grants('s1-1'), world.revokes], [['s2'], []])
  },
)
