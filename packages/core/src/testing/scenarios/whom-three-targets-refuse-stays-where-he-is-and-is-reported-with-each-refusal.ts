import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'whom three targets refuse stays where he is and is reported with each refusal',
  { servers: 5 },
  async (world) => {
    world.refuse('s1-1')
    world.kill('s1')
    await world.minutes(3)
    assert.deepEqual(world.on('s1'), ['s1-1'])
    const refusals = world.told('connection.move_failed').filter(({ connectionId }) => connectionId === 's1-1')
    assert.equal(new Set(refusals.map(({ toServerId }) => toServerId)).size, 3)
    assert.deepEqual(new Set(refusals.map(({ permanent, rolledBack }) => `${permanent} ${rolledBack}`)), new Set(['true false']))
    assert.deepEqual(
      world.told('connection.unplaced').map(({ connectionId, code }) => [connectionId, code]),
      [['s1-1', 'refused_everywhere']],
    )
    assert.equal(world.evacuations[0]?.status, 'completed')
  },
)
