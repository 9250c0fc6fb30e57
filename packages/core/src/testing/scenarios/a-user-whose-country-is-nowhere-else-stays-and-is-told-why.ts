import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a user whose country is nowhere else stays and is told why',
  {
    servers: [{ id: 's1', country: 'CH' }, { id: 's2', country: 'FR' }, { id: 's3' }],
    users: 2,
    rows: { 's1-1': { needs: { countries: ['CH'] } } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), ['s1-1'])
    const [unplaced] = world.told('connection.unplaced')
    assert.deepEqual([unplaced?.connectionId, unplaced?.code], ['s1-1', 'no_candidate'])
    assert.match(unplaced?.message ?? '', /2 country_not_allowed/)
  },
)
