import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a target that dies while its migration completes does not undo it',
  { servers: 8, users: 1, policy: { mode: 'auto', migration: { revokeGraceMs: 0 } } },
  async (world) => {
    world.when('completing', () => world.kill(String(world.migrations[0]?.toServerId)))
    await world.answer(world.engine.drain('s1'))
    await world.minutes(4)
    assert.deepEqual(
      world.migrations.map(({ status }) => status),
      ['completed', 'completed'],
    )
    assert.ok(!['s1', String(world.migrations[0]?.toServerId)].includes(world.home('s1-1')))
    assert.equal(world.calls.filter(({ name }) => name === 'rollback').length, 0)
  },
)
