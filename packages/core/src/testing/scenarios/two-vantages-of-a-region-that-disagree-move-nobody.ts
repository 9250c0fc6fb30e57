import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'two vantages of a region that disagree move nobody',
  {
    vantages: { 'teh-1': 'ir', 'teh-2': 'ir' },
    rows: { 's1-1': { region: 'ir' }, 's1-2': { region: 'ir' }, 's1-3': { region: 'de' }, 's1-4': { region: null } },
  },
  async (world) => {
    await world.seconds(20)
    world.vantage('teh-2', 'silent')
    await world.seconds(30)
    // One that is left alone is not enough either.
    world.block('ir', 's1')
    await world.minutes(2)
    assert.equal(world.on('s1').length, 4)
    const verdict = world.report('s1').audiences.find(({ audience }) => audience === 'ir')?.verdict
    assert.equal(verdict?.verdict, 'suspect')
    assert.equal(verdict.reasons[0].code, 'no_quorum')
    assert.deepEqual(world.incidents, [])
  },
)
