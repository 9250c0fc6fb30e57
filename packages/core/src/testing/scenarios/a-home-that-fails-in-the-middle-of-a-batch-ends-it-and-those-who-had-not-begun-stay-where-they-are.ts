import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a home that fails in the middle of a batch ends it and those who had not begun stay where they are',
  {
    users: 16,
    panel: { latencyMs: 4000 },
    policy: { mode: 'auto', migration: { concurrency: 1 }, failback: { strategy: 'immediate', stableMs: 60_000 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(2)
    world.revive('s1')
    await world.until('three are home', () => world.on('s1').length >= 3)
    world.kill('s1')
    await world.minutes(3)
    assert.deepEqual(world.on('s1'), [])
    const batch = world.migrations.filter(({ reason }) => reason === 'failback')
    assert.ok(batch.length > 0 && batch.every(({ status }) => status === 'cancelled' || status === 'completed'))
    const brought = batch.reduce((sum, { connectionsMoved }) => sum + connectionsMoved, 0)
    assert.ok(brought >= 3 && brought < 16)
    // Only those who were home have had to leave it again.
    assert.equal(world.moved, 16 + 2 * brought)
  },
)
