import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'users go to their own region where they can',
  {
    servers: [
      { id: 's1', region: 'eu' },
      { id: 's2', region: 'us' },
      { id: 's3', region: 'eu' },
      { id: 's4', region: 'us' },
    ],
    rows: { 's1-1': { region: 'eu' }, 's1-2': { region: 'eu' }, 's1-3': { region: 'us' }, 's1-4': { region: 'us' } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s3'), ['s1-1', 's1-2'])
    assert.deepEqual([...world.on('s2'), ...world.on('s4')].sort(), ['s1-3', 's1-4'])
  },
)
