import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'migrations are found by source or target and by reason and by state and the newest comes first',
  { servers: 4, users: { s1: 2, s2: 2 } },
  async (world) => {
    const { engine } = world
    const ids = async (filter: Parameters<typeof engine.migrations.list>[0]) =>
      (await world.answer(engine.migrations.list(filter))).migrations.map(({ id }) => id)
    const first = await world.answer(engine.migrations.create({ serverId: 's1', toServerId: 's3', autoApprove: true }))
    await world.minutes(1)
    const second = await world.answer(engine.migrations.create({ serverId: 's2', toServerId: 's4', reason: 'rebalancing' }))
    assert.deepEqual(await ids({}), [second.id, first.id])
    assert.deepEqual(
      [await ids({ serverId: 's3' }), await ids({ serverId: 's1' }), await ids({ serverId: 's9' })],
      [[first.id], [first.id], []],
    )
    assert.deepEqual(await ids({ reason: 'rebalancing' }), [second.id])
    assert.deepEqual([await ids({ status: ['completed', 'failed'] }), await ids({ status: ['suggested'] })], [[first.id], [second.id]])
    const { migrations, ...page } = await world.answer(engine.migrations.list({ limit: 1, offset: 1 }))
    assert.deepEqual([migrations[0]?.id, page], [first.id, { total: 2, limit: 1, offset: 1 }])
  },
)
