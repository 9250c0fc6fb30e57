import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a cancelled evacuation gives its places back',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { concurrency: 1 } }, users: 10 },
  async (world) => {
    const { id } = await world.answer(world.engine.drain('s1'))
    await world.answer(world.engine.evacuations.cancel(id))
    await world.seconds(20)
    assert.ok(world.on('s1').length > 0)
    assert.equal(world.reserved, 0)
    assert.equal(world.report('s2').load, world.on('s2').length)
    assert.equal(world.evacuations[0]?.status, 'cancelled')
  },
)
