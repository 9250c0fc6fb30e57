import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a request that would move nobody says why in figures',
  { servers: [{ id: 's1' }, { id: 's2', capacity: 1 }], users: { s1: 3, s2: 1 }, mobility: { 's1-1': 'pinned' } },
  async (world) => {
    const full = await world.refused(world.engine.migrations.create({ serverId: 's1' }))
    assert.equal(full.code, 'nothing_to_move')
    assert.match(full.message, /^nobody on s1 finds a place: 2 no_candidate, 1 pinned; servers that are no target: 1 is_source, 1 full$/)
    world.removeUser('s2-1')
    const empty = await world.refused(world.engine.migrations.create({ serverId: 's2' }))
    assert.deepEqual([empty.code, empty.message], ['nothing_to_move', 'nobody is on s2'])
    assert.deepEqual([world.migrations, world.evacuations], [[], []])
  },
)
