import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'an override frees the one incident that it names and is on record',
  { users: { s1: 2, s2: 2 } },
  async (world) => {
    world.kill('s1')
    world.kill('s2')
    await world.minutes(1)
    const incident = world.incidents.find(({ serverId }) => serverId === 's1')
    await world.answer(world.engine.incidents.overrideGuard(incident?.id ?? ''))
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
    assert.deepEqual(world.on('s2'), ['s2-1', 's2-2'])
    assert.deepEqual(
      world.told('guard.overridden').map(({ incidentId }) => incidentId),
      [incident?.id],
    )
    assert.deepEqual(
      world.decisions[0]?.guards.flatMap(({ denial }) => denial?.guard ?? []),
      ['mass_failure'],
    )
  },
)
