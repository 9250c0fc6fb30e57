import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a time that was set is waited for over a crash too',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const at = world.engine.status().at + 600_000
    await world.answer(world.engine.migrations.schedule(world.migration().id, { at }))
    world.crash()
    await world.minutes(9)
    assert.equal(world.moved, 0)
    await world.minutes(3)
    assert.ok((world.migration().startedAt ?? 0) >= at)
    assert.deepEqual(world.on('s1'), [])
  },
)
