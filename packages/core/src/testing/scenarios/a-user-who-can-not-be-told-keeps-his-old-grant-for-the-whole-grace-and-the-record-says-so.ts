import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a user who can not be told keeps his old grant for the whole grace and the record says so',
  {
    servers: 2,
    users: 1,
    notifier: true,
    panel: { confirmation: 'seen' },
    policy: { mode: 'auto', migration: { revokeGraceMs: 3_600_000, backoffMs: 100 } },
  },
  async (world) => {
    world.fault('notifier.fails', 60)
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    const { status, connectionsMoved, warnings } = world.migration()
    assert.deepEqual([status, connectionsMoved, warnings.length], ['completed', 1, 1])
    assert.match(warnings[0] ?? '', /^1 user could not be told where to find the new server/)
    assert.deepEqual(
      world.told('connection.undelivered').map(({ connectionId, serverId, error }) => [connectionId, serverId, error]),
      [['s1-1', 's2', 'no route to the client']],
    )
    await world.minutes(57)
    assert.deepEqual(world.grants('s1-1'), ['s1', 's2'])
    await world.minutes(2)
    assert.deepEqual(world.grants('s1-1'), ['s2'])
  },
)
