import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'with best score only those go home who gain by it',
  {
    servers: [
      { id: 's1', region: 'eu' },
      { id: 's2', region: 'us' },
      { id: 's3', region: 'us' },
    ],
    rows: { 's1-1': { region: 'eu' }, 's1-2': { region: 'eu' }, 's1-3': { region: 'us' }, 's1-4': { region: 'us' } },
    policy: { mode: 'auto', failback: { strategy: 'best-score', stableMs: 60_000, minGain: 0.1 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    world.revive('s1')
    await world.minutes(10)
    assert.deepEqual(world.on('s1').toSorted(), ['s1-1', 's1-2'])
  },
)
