import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a target that runs out of memory in the middle gets nobody more',
  { servers: 3, users: 14, policy: { mode: 'auto', registryRefreshMs: 500, migration: { concurrency: 1 } } },
  async (world) => {
    await world.answer(world.engine.migrations.create({ serverId: 's1', toServerId: 's2', autoApprove: true }))
    world.row('s2', { resources: { memoryPercent: 97 } })
    await world.minutes(2)
    const there = world.on('s2').length
    assert.ok(there > 0 && there < 14, `${there} have gone to s2`)
    // Only s2 was asked for, so the rest stays where it is.
    assert.equal(world.on('s1').length, 14 - there)
    assert.deepEqual([world.migration().status, world.migration().connectionsSkipped], ['completed', 14 - there])
    world.row('s2', { resources: { memoryPercent: 40 } })
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
  },
)
