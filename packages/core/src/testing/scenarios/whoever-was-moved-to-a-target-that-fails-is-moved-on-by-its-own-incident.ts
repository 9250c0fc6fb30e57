import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'whoever was moved to a target that fails is moved on by its own incident',
  { servers: 8, users: 2 },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    const target = world.home('s1-1')
    assert.notEqual(target, 's1')
    world.kill(target)
    await world.minutes(3)
    assert.ok(!['s1', target].includes(world.home('s1-1')))
    assert.deepEqual(
      world.incidents.map(({ serverId }) => serverId),
      ['s1', target],
    )
    const decision = world.decisions.find(({ incidentId }) => incidentId === world.incidents[1]?.id)
    assert.deepEqual(decision?.fromServerIds, [target])
  },
)
