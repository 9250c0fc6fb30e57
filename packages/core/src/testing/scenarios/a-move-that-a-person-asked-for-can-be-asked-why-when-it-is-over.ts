import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a move that a person asked for can be asked why when it is over',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } }, users: 3 },
  async (world) => {
    const { id } = await world.answer(
      world.engine.migrations.create({ serverId: 's1', connectionIds: ['s1-2'], autoApprove: true, notes: 'ticket 7' }),
    )
    await world.minutes(1)
    const migration = await world.answer(world.engine.migrations.get(id))
    assert.deepEqual(
      [migration.status, migration.notes, migration.triggeredBy, world.on('s2')],
      ['completed', 'ticket 7', 'admin', ['s1-2']],
    )
    const why = await world.answer(world.engine.decision(migration.decisionId))
    assert.deepEqual([why.reason, why.connections, why.placed, why.incidentId], ['manual', 1, 1, null])
    assert.deepEqual(
      why.cohorts.flatMap(({ placed }) => placed),
      [{ serverId: 's2', connections: 1 }],
    )
    const chosen = why.cohorts[0]?.candidates[0]
    assert.ok(chosen && 'contributions' in chosen && chosen.contributions.every(({ note }) => note.length > 0))
  },
)
