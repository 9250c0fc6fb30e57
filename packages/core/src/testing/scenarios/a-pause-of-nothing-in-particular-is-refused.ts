import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a pause of nothing in particular is refused', {}, async (world) => {
  for (const scope of [{}, { serverId: 's1', migrationId: 'x' }, 'everything', 7, { servers: ['s1'] }, null]) {
    const { code, remedy } = await world.refused(world.engine.pause(scope as never))
    assert.equal(code, 'invalid_argument')
    assert.match(remedy ?? '', /exactly one of serverId, evacuationId and migrationId/)
  }
  assert.deepEqual(world.told('pause.set'), [])
})
