import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'of two cancellations of an evacuation at once one wins and the other is refused',
  { servers: 2, users: 12, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    const { id } = await world.answer(world.engine.drain('s1'))
    const { answers, refusals } = await world.atOnce(world.engine.evacuations.cancel(id), world.engine.evacuations.cancel(id))
    assert.deepEqual([answers.length, refusals.map(({ code }) => code)], [1, ['illegal_transition']])
    assert.match(refusals[0]?.message ?? '', /is (being )?cancelled$/)
    await world.minutes(1)
    assert.equal(world.told('evacuation.cancelled').length, 1)
    assert.equal((await world.refused(world.engine.evacuations.cancel(id))).message, `evacuation ${id} is cancelled`)
  },
)
