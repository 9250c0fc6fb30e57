import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a source that the host removes in the middle ends its drain and says so',
  {
    servers: 3,
    users: 16,
    panel: { latencyMs: 2000 },
    policy: { mode: 'auto', registryRefreshMs: 500, migration: { concurrency: 1 } },
  },
  async (world) => {
    await world.answer(world.engine.migrations.create({ serverId: 's1', toServerId: 's2', autoApprove: true }))
    await world.until('two have moved', () => world.moved >= 2)
    for (const user of world.on('s1')) world.hostMoves(user, 's3')
    world.remove('s1')
    await world.minutes(2)
    assert.deepEqual(
      world.told('evacuation.cancelled').map(({ why }) => why),
      ['s1 is gone from the registry'],
    )
    assert.ok(world.migrations.every(({ completedAt }) => completedAt !== null))
    assert.equal(world.on('s2').length + world.on('s3').length, 16)
    assert.equal(world.engine.status().evacuations.length, 0)
  },
)
