import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a time that is set anew takes the place of the one before',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { at } = world.engine.status()
    const { id } = world.migration()
    await world.answer(world.engine.migrations.schedule(id, { at: at + 600_000 }))
    const sooner = await world.answer(world.engine.migrations.schedule(id, { at: at + 60_000 }))
    assert.equal(sooner.notBefore, at + 60_000)
    await world.answer(world.engine.migrations.schedule(id, { at: at + 300_000 }))
    await world.minutes(4)
    assert.equal(world.moved, 0)
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
  },
)
