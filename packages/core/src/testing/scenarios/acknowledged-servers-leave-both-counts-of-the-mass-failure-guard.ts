import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'acknowledged servers leave both counts of the mass failure guard',
  { servers: 10, users: { s1: 1, s2: 1, s3: 1 } },
  async (world) => {
    for (const server of ['s8', 's9', 's10']) world.kill(server)
    await world.minutes(1)
    for (const { id } of world.incidents) await world.answer(world.engine.incidents.acknowledge(id))
    world.kill('s1')
    world.kill('s2')
    await world.minutes(1)
    assert.deepEqual([...world.on('s1'), ...world.on('s2')], [])
    // Seven are left, and 0.3 of seven is two.
    world.kill('s3')
    await world.minutes(1)
    assert.equal(world.home('s3-1'), 's3')
    assert.deepEqual(world.held('s3'), ['mass_failure'])
  },
)
