import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a vantage that loses its network abstains until another host answers it',
  {
    vantages: { 'teh-1': 'ir', 'teh-2': 'ir' },
    rows: { 's1-1': { region: 'ir' }, 's1-2': { region: 'ir' }, 's1-3': { region: 'de' }, 's1-4': { region: null } },
  },
  async (world) => {
    await world.seconds(20)
    for (const name of ['teh-1', 'teh-2']) world.vantage(name, 'lost')
    await world.minutes(5)
    assert.deepEqual(world.incidents, [])
    assert.deepEqual(
      world
        .told('vantage.lost')
        .map(({ vantage }) => vantage)
        .sort(),
      ['teh-1', 'teh-2'],
    )
    for (const name of ['teh-1', 'teh-2']) world.vantage(name, null)
    await world.minutes(1)
    assert.equal(world.told('vantage.returned').length, 2)
    assert.deepEqual(world.incidents, [])
  },
)
