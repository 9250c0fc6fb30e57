import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a retry of a failed migration is a record of its own that names the old one',
  { servers: 2, policy: { mode: 'auto', migration: { targetsPerConnection: 1 } } },
  async (world) => {
    world.refuse('s1-1', 's1-2', 's1-3', 's1-4')
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    const old = world.migration()
    assert.equal(old.status, 'failed')
    world.heal()
    await world.answer(world.engine.uncordon('s1'))
    const { id } = await world.answer(world.engine.migrations.retry(old.id))
    await world.minutes(1)
    const { retryOf, retryCount, status, fromServerId, toServerId, reason } = await world.answer(world.engine.migrations.get(id))
    assert.deepEqual([retryOf, retryCount, status], [old.id, 0, 'completed'])
    assert.deepEqual([fromServerId, toServerId, reason], [old.fromServerId, old.toServerId, old.reason])
    assert.deepEqual(world.migration(), old)
    assert.deepEqual(world.on('s1'), [])
  },
)
