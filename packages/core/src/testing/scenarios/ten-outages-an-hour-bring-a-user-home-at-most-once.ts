import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'ten outages an hour bring a user home at most once',
  {
    policy: {
      mode: 'auto',
      migration: { cooldownMs: 0 },
      failback: { strategy: 'immediate', stableMs: 30_000 },
      guards: { dampingCeiling: 100 },
    },
  },
  async (world) => {
    for (let outage = 0; outage < 10; outage++) {
      world.kill('s1')
      await world.minutes(3)
      world.revive('s1')
      await world.minutes(3)
    }
    const home = world.told('connection.moved').filter(({ toServerId }) => toServerId === 's1')
    assert.deepEqual(home.map(({ connectionId }) => connectionId).sort(), ['s1-1', 's1-2', 's1-3', 's1-4'])
  },
)
