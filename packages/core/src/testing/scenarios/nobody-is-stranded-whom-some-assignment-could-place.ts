import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'nobody is stranded whom some assignment could place',
  {
    servers: [{ id: 's1' }, { id: 's2', capacity: 2, region: 'eu', protocols: ['wireguard'] }, { id: 's3', capacity: 2 }],
    rows: {
      's1-1': { needs: { protocols: ['wireguard'] } },
      's1-2': { needs: { protocols: ['wireguard'] } },
      // They are placed first and like it better where the others must go.
      's1-3': { tier: 5, region: 'eu' },
      's1-4': { tier: 5, region: 'eu' },
    },
    policy: { mode: 'auto', placement: { fillLimit: 1 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s2'), ['s1-1', 's1-2'])
    assert.deepEqual(world.on('s3'), ['s1-3', 's1-4'])
  },
)
