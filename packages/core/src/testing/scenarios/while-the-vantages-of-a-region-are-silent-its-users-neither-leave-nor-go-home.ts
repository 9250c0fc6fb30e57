import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'while the vantages of a region are silent its users neither leave nor go home',
  {
    vantages: { 'teh-1': 'ir', 'teh-2': 'ir' },
    rows: { 's1-1': { region: 'ir' }, 's1-2': { region: 'ir' }, 's1-3': { region: 'de' }, 's1-4': { region: null } },
    policy: { mode: 'auto', failback: { strategy: 'immediate', stableMs: 10_000 } },
  },
  async (world) => {
    await world.seconds(20)
    world.block('ir', 's1')
    await world.minutes(1)
    for (const name of ['teh-1', 'teh-2']) world.vantage(name, 'silent')
    world.block('ir')
    await world.minutes(5)
    assert.equal(world.incidents.length, 1)
    assert.deepEqual(world.on('s1'), ['s1-3', 's1-4'])
    for (const name of ['teh-1', 'teh-2']) world.vantage(name, null)
    await world.minutes(40)
    assert.deepEqual(world.on('s1').sort(), ['s1-1', 's1-2', 's1-3', 's1-4'])
  },
)
