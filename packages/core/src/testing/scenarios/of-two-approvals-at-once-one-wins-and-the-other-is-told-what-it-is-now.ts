import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'of two approvals at once one wins and the other is told what it is now',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { id } = world.migration()
    const { answers, refusals } = await world.atOnce(world.engine.migrations.approve(id), world.engine.migrations.approve(id))
    assert.deepEqual([answers.length, refusals.map(({ code }) => code)], [1, ['illegal_transition']])
    assert.match(refusals[0]?.message ?? '', /is (scheduled|preparing|transferring): it does not take "approve"/)
    await world.minutes(1)
    assert.equal(world.steps().filter((step) => step === 'suggested → approved').length, 1)
    assert.deepEqual([world.told('evacuation.approved').length, world.moved], [1, 4])
  },
)
