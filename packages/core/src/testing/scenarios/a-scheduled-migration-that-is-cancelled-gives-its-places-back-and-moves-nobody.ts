import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a scheduled migration that is cancelled gives its places back and moves nobody',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { id } = world.migration()
    await world.answer(world.engine.migrations.schedule(id, { at: world.engine.status().at + 600_000 }))
    assert.equal(world.reserved, 4)
    await world.answer(world.engine.migrations.cancel(id))
    assert.equal(world.reserved, 0)
    await world.minutes(15)
    assert.deepEqual(world.steps(), ['suggested → approved', 'approved → scheduled', 'scheduled → cancelled'])
    assert.deepEqual([world.moved, world.on('s1').length], [0, 4])
  },
)
