import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'more servers blocked for a region than its cap hold that region, and nobody else',
  {
    servers: 5,
    vantages: { 'teh-1': 'ir', 'teh-2': 'ir' },
    rows: { 's1-1': { region: 'ir' }, 's1-2': { region: 'ir' }, 's1-3': { region: 'de' }, 's1-4': { region: null } },
  },
  async (world) => {
    await world.seconds(20)
    world.block('ir', 's1', 's2')
    await world.minutes(1)
    assert.equal(world.on('s1').length, 4)
    const denied = world.told('guard.denied')
    assert.deepEqual(
      denied.map(({ guard, audience }) => `${guard} for ${audience}`),
      ['mass_failure for ir'],
    )
    assert.match(denied[0]?.wouldHave ?? '', /^would have moved \d users? of region ir off s[12]$/)
    // All others are none of its business.
    world.kill('s3')
    await world.minutes(1)
    assert.deepEqual(world.on('s3'), [])
    assert.equal(world.server('s3').status, 'offline')
  },
)
