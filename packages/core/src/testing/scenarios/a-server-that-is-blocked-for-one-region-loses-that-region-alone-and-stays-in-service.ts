import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a server that is blocked for one region loses that region alone, and stays in service',
  {
    vantages: { 'teh-1': 'ir', 'teh-2': 'ir' },
    rows: { 's1-1': { region: 'ir' }, 's1-2': { region: 'ir' }, 's1-3': { region: 'de' }, 's1-4': { region: null } },
  },
  async (world) => {
    await world.seconds(20)
    world.block('ir', 's1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), ['s1-3', 's1-4'])
    assert.equal(world.server('s1').status, 'online')
    assert.equal(world.report('s1').verdict.verdict, 'up')
    const [incident] = world.engine.status().incidents
    assert.equal(incident?.audience, 'ir')
    assert.match(
      incident.reasons[0].message,
      /^down for region ir: 2 of 2 vantages \(teh-1: no answer to 1 packet.*; teh-2: .*\); up for all other regions$/,
    )
  },
)
