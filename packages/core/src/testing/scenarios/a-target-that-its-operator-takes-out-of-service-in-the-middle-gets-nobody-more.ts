import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a target that its operator takes out of service in the middle gets nobody more',
  { servers: 3, users: 16, policy: { mode: 'auto', registryRefreshMs: 100, migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.status('s2', 'maintenance'))
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
    assert.ok(world.on('s2').length < 8, `${world.on('s2').length} have gone to s2`)
    assert.deepEqual(
      world.migrations.filter(({ status }) => status === 'failed'),
      [],
    )
  },
)
