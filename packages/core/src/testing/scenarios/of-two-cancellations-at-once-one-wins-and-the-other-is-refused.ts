import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'of two cancellations at once one wins and the other is refused',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { id } = world.migration()
    const { answers, refusals } = await world.atOnce(world.engine.migrations.cancel(id), world.engine.migrations.cancel(id))
    assert.deepEqual([answers.length, refusals.map(({ code }) => code)], [1, ['illegal_transition']])
    await world.minutes(1)
    assert.deepEqual([world.steps(), world.told('migration.cancelled').length], [['suggested → cancelled'], 1])
  },
)
