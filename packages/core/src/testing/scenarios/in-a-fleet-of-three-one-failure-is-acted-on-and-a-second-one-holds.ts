import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'in a fleet of three one failure is acted on and a second one holds',
  { servers: 3, users: { s1: 2, s2: 2 } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    const { moved } = world
    world.kill('s2')
    await world.minutes(2)
    assert.equal(world.moved, moved)
    assert.deepEqual(world.held('s2'), ['mass_failure'])
    assert.equal(world.told('guard.denied')[0]?.values?.cap, 1)
  },
)
