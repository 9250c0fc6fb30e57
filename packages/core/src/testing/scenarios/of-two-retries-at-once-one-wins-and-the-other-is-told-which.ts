import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'of two retries at once one wins and the other is told which',
  { servers: 2, policy: { mode: 'auto', migration: { targetsPerConnection: 1 } } },
  async (world) => {
    world.refuse('s1-1', 's1-2', 's1-3', 's1-4')
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    world.heal()
    const { id } = world.migration()
    const { answers, refusals } = await world.atOnce(world.engine.migrations.retry(id), world.engine.migrations.retry(id))
    assert.equal(answers.length, 1)
    assert.deepEqual([refusals.length, refusals[0]?.message.includes(answers[0]?.evacuationId ?? '?')], [1, true])
    await world.minutes(1)
    assert.deepEqual([world.migrations.filter(({ retryOf }) => retryOf === id).length, world.moved], [1, 4])
  },
)
