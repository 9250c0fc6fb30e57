import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a request for users who are not there or may not be moved names each of them',
  { users: { s1: 3, s2: 1 }, mobility: { 's1-2': 'pinned', 's1-3': 'failure-only' } },
  async (world) => {
    const connectionIds = ['s1-1', 's1-2', 's1-3', 's2-1', 'nobody']
    const { code, message } = await world.refused(world.engine.migrations.create({ serverId: 's1', connectionIds }))
    assert.equal(code, 'invalid_argument')
    assert.match(message, /connectionIds not on s1: s2-1, nobody/)
    assert.match(message, /not to be moved for manual by their mobility: s1-2, s1-3/)
    assert.deepEqual(world.migrations, [])
  },
)
