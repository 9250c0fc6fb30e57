import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'outside of its window nothing optional moves and in the next one it goes on',
  {
    servers: 2,
    users: 18,
    guards: true,
    policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 0.5, burst: 1 } } } },
  },
  async (world) => {
    await world.answer(world.engine.migrations.create({ serverId: 's1', reason: 'rebalancing', autoApprove: true }))
    await world.seconds(10)
    world.forbid('window')
    const shutAt = world.engine.status().at
    await world.minutes(60)
    const { migrations } = world.engine
    assert.equal((await world.refused(migrations.create({ serverId: 's1', reason: 'rebalancing' }))).code, 'guard_denied')
    const openAt = world.engine.status().at
    world.allow('window')
    await world.minutes(2)
    const moved = world.events.flatMap(({ type, at }) => (type === 'connection.moved' ? [at] : []))
    assert.equal(moved.length, 18)
    // What was under way when it closed may still end.
    assert.deepEqual(
      moved.filter((at) => at > shutAt + 3000 && at < openAt),
      [],
    )
  },
)
