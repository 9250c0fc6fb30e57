import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a guard of the host that names server down holds the evacuation of a dead server',
  { guards: true },
  async (world) => {
    world.forbid('freeze', { forbids: ['server-down'] })
    world.kill('s1')
    await world.minutes(2)
    assert.deepEqual([world.held('s1'), world.on('s1').length, world.migrations], [['host'], 4, []])
    assert.equal(world.incidents[0]?.heldBy[0]?.message, 'freeze forbids server-down: the host says freeze')
    world.allow('freeze')
    await world.minutes(1)
    assert.deepEqual([world.held('s1'), world.on('s1')], [[], []])
  },
)
