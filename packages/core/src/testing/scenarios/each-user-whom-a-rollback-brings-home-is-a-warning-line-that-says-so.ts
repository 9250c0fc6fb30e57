import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'each user whom a rollback brings home is a warning line that says so',
  {
    servers: 4,
    users: 20,
    capacity: 40,
    panel: { latencyMs: 2000 },
    policy: { mode: 'auto', migration: { concurrency: 1, retryUnplacedMs: 3_600_000 } },
  },
  async (world) => {
    await world.answer(world.engine.migrations.create({ serverId: 's1', toServerId: 's2', autoApprove: true }))
    await world.until('two have moved', () => world.moved >= 2)
    world.unreachable(['s2'])
    await world.minutes(2)
    const undone = world.calls.filter(({ name }) => name === 'rollback').length
    assert.ok(undone >= 2)
    const lines = world.lines.filter((line) => line.includes('could not be moved'))
    assert.deepEqual(
      lines,
      Array.from({ length: undone }, () => 'warn: a connection could not be moved to s2; rollback executed: undone: target s2 failed'),
    )
    assert.ok(world.lines.some((line) => /^error: migration .* failed: target s2 failed; rolled back$/.test(line)))
  },
)
