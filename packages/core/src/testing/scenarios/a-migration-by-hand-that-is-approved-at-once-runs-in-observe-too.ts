import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a migration by hand that is approved at once runs in observe too',
  { servers: 2, policy: { mode: 'observe' } },
  async (world) => {
    const { status } = await world.answer(world.engine.migrations.create({ serverId: 's1', autoApprove: true }))
    assert.equal(status, 'scheduled')
    await world.minutes(1)
    assert.deepEqual([world.on('s1'), world.migration().status], [[], 'completed'])
  },
)
