import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'who is brought back from a failed target is told so and has the access that he had',
  {
    servers: 4,
    users: 20,
    capacity: 40,
    notifier: true,
    panel: { latencyMs: 2000 },
    policy: { mode: 'auto', migration: { concurrency: 1, retryUnplacedMs: 3_600_000 } },
  },
  async (world) => {
    await world.answer(world.engine.migrations.create({ serverId: 's1', toServerId: 's2', autoApprove: true }))
    await world.until('two have been told', () => world.delivered.length >= 2)
    world.unreachable(['s2'])
    await world.minutes(2)
    assert.equal(world.migration().status, 'failed')
    assert.deepEqual([world.on('s1').length, world.on('s2')], [20, []])
    const moved = world.delivered.filter(({ server }) => server === 's2')
    const back = world.delivered.filter(({ server }) => server === 's1')
    assert.ok(moved.length >= 2)
    assert.deepEqual(back.map(({ user, access }) => [user, access]).sort(), moved.map(({ user }) => [user, null]).sort())
    for (const { user } of moved) assert.deepEqual(world.grants(user), ['s1'])
  },
)
