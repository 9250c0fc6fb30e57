import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'what is approved can not be approved again as a whole either',
  { servers: 2, policy: { mode: 'suggest', migration: { concurrency: 1 } } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { evacuationId: id } = world.migration()
    const { answers, refusals } = await world.atOnce(world.engine.evacuations.approve(id), world.engine.evacuations.approve(id))
    assert.deepEqual([answers.length, refusals.map(({ code }) => code)], [1, ['illegal_transition']])
    assert.equal(refusals[0]?.message, `evacuation ${id} is running: nothing of it waits for approval`)
    await world.minutes(1)
    const { code, message } = await world.refused(world.engine.evacuations.approve(id))
    assert.deepEqual([code, message], ['illegal_transition', `evacuation ${id} is completed`])
    assert.equal(world.told('evacuation.approved').length, 1)
  },
)
