import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'an evacuation of one region goes on after a crash, for that region alone',
  {
    vantages: { 'teh-1': 'ir', 'teh-2': 'ir' },
    users: 12,
    policy: { mode: 'auto', migration: { concurrency: 1 } },
    rows: Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`s1-${index + 1}`, { region: index < 6 ? 'ir' : 'de' }])),
  },
  async (world) => {
    await world.seconds(20)
    world.block('ir', 's1')
    await world.until('some have moved', () => world.on('s1').length < 11)
    world.crash()
    await world.minutes(3)
    assert.deepEqual(world.on('s1').sort(), ['s1-10', 's1-11', 's1-12', 's1-7', 's1-8', 's1-9'])
    assert.equal(world.incidents.length, 1)
  },
)
