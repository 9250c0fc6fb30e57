import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the steps of a migration come in their order',
  { servers: 2, users: 2, policy: { mode: 'auto', migration: { concurrency: 1, revokeGraceMs: 0 } } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    // The old grants are taken back when nobody needs them any more: after the last move.
    assert.deepEqual(
      world.calls.map(({ name }) => name),
      ['prepare', 'move', 'verify', 'move', 'verify', 'complete', 'complete'],
    )
    assert.deepEqual([world.grants('s1-1'), world.grants('s1-2')], [['s2'], ['s2']])
  },
)
