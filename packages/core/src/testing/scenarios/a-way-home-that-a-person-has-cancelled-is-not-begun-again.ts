import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a way home that a person has cancelled is not begun again',
  {
    users: 8,
    panel: { latencyMs: 4000 },
    policy: { mode: 'auto', migration: { concurrency: 1 }, failback: { strategy: 'immediate', stableMs: 60_000 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.until('one is home', () => world.on('s1').length >= 1)
    await world.answer(world.engine.evacuations.cancel(world.incidents[0]?.failback?.evacuationId ?? ''))
    await world.minutes(1)
    const home = world.on('s1').length
    assert.ok(home < 8)
    await world.minutes(180)
    assert.deepEqual(
      [world.on('s1').length, world.incidents[0]?.failback?.state, world.incidents[0]?.failback?.why],
      [home, 'abandoned', 'cancelled by an operator'],
    )
  },
)
