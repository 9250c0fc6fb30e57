import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a target without room is refused for a migration by hand',
  { servers: [{ id: 's1' }, { id: 's2', capacity: 3 }, { id: 's3' }], users: { s1: 2, s2: 3 } },
  async (world) => {
    const { code, message, remedy } = await world.refused(world.engine.migrations.create({ serverId: 's1', toServerId: 's2' }))
    assert.equal(code, 'invalid_argument')
    assert.match(message, /s2 is no target now: 3 of 3 taken \(full\)/)
    assert.match(remedy ?? '', /Mend what is named/)
    assert.deepEqual([world.migrations, world.evacuations], [[], []])
  },
)
