import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a migration that fails is an error line that says what was rolled back',
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
    world.fault('mover.fails_verify', 30)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(20)
    assert.equal(
      world.lines.filter((line) => /^error: migration .* failed: none of 1 connections could be moved: .*; rolled back$/.test(line)).length,
      1,
    )
    assert.equal(world.lines.filter((line) => /^warn: a connection could not be moved to s2; rollback executed: /.test(line)).length, 1)
  },
)
