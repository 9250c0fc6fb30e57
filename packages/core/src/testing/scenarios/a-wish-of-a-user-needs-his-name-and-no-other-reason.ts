import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a wish of a user needs his name and no other reason', {}, async (world) => {
  const { create } = world.engine.migrations
  const nameless = await world.refused(create({ serverId: 's1', triggeredBy: 'user' }))
  assert.deepEqual([nameless.code, nameless.message], ['invalid_argument', 'connectionIds must name whose wish it is'])
  const other = await world.refused(create({ serverId: 's1', connectionIds: ['s1-1'], triggeredBy: 'user', reason: 'manual' }))
  assert.deepEqual([other.code, other.message], ['invalid_argument', "reason must be user-request for a user's own wish"])
  assert.deepEqual(world.migrations, [])
})
