import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'with gradual a share goes home in each batch and the next one waits for its time',
  {
    users: 10,
    policy: { mode: 'auto', failback: { strategy: 'gradual', stableMs: 60_000, batchPercent: 30, batchIntervalMs: 300_000 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.minutes(3)
    assert.equal(world.on('s1').length, 3)
    await world.minutes(30)
    assert.equal(world.on('s1').length, 10)
    const batches = world.events.flatMap((event) => (event.type === 'failback.changed' && event.data.connections > 0 ? [event] : []))
    assert.deepEqual(
      batches.map(({ data }) => data.connections),
      [3, 3, 3, 1],
    )
    assert.ok(batches.every(({ at }, index) => index === 0 || at - (batches[index - 1]?.at ?? at) >= 300_000))
  },
)
