import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a plan moves nobody, writes nothing and holds no place', {}, async (world) => {
  const plan = await world.answer(world.engine.plan({ drain: ['s1'] }))
  assert.equal(plan.placements.flatMap(({ connections }) => connections).length, 4)
  await world.minutes(2)
  assert.equal(world.on('s1').length, 4)
  assert.deepEqual([world.decisions, world.evacuations, world.migrations], [[], [], []])
  assert.deepEqual(
    ['s2', 's3', 's4'].map((id) => world.report(id).reserved),
    [0, 0, 0],
  )
})
