import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'what cannot be undone is listed as residue and keeps its place',
  {
    servers: 2,
    policy: {
      mode: 'auto',
      detect: { canaries: [{ host: '192.0.2.1' }] },
      migration: { moveTries: 1, maxRetries: 0, retryUnplacedMs: 3_600_000 },
    },
    users: 1,
  },
  async (world) => {
    for (const kind of ['mover.fails_halfway', 'mover.fails_locate', 'mover.fails_rollback'] as const) world.fault(kind, 60)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(2)
    assert.deepEqual(
      world.migrations.map(({ status, rollbackSuccess, residue }) => [status, rollbackSuccess, residue]),
      [['failed', false, ['s1-1']]],
    )
    assert.deepEqual(
      world.told('migration.failed').map(({ rollbackSuccess, residue }) => [rollbackSuccess, residue]),
      [[false, ['s1-1']]],
    )
    assert.equal(world.report('s2').reserved, 1)
    await world.minutes(1)
    assert.equal(world.reserved, 0)
  },
)
