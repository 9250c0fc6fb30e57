import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a failed migration tells on the wire what its rollback has done',
  { servers: 2, users: 1, policy: { mode: 'auto', migration: { moveTries: 1, maxRetries: 0, retryUnplacedMs: 3_600_000 } } },
  async (world) => {
    world.fault('mover.fails_verify', 30)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(20)
    const error = 'none of 1 connections could be moved: not usable on the target after the move'
    assert.deepEqual(world.wired('migration.failed'), [{ id: world.migration().id, error, rollback_success: true, residue: [] }])
  },
)
