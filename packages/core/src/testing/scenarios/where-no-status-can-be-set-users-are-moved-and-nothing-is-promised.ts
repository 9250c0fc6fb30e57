import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'where no status can be set users are moved and nothing is promised',
  { registry: { setsStatus: false } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    world.revive('s1')
    await world.minutes(1)
    assert.deepEqual(
      world.told('incident.recovered').map(({ statusRestored }) => statusRestored),
      [false],
    )
    assert.deepEqual(world.told('server.status_set'), [])
    assert.deepEqual(
      world.told('warning').filter(({ code }) => code === 'internal'),
      [],
    )
  },
)
