import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'after cancel all a dead server stays as it is until a person says otherwise',
  { users: 8, panel: { latencyMs: 4000 }, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.kill('s1')
    await world.until('one has moved', () => world.moved > 0)
    await world.answer(world.engine.evacuations.cancelAll())
    world.crash()
    await world.minutes(1)
    const left = world.on('s1').length
    assert.ok(left > 0)
    await world.minutes(120)
    assert.equal(world.on('s1').length, left)
    await world.answer(world.engine.migrations.create({ serverId: 's1', autoApprove: true }))
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
  },
)
