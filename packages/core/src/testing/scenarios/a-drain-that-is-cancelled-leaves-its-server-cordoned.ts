import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a drain that is cancelled leaves its server cordoned',
  { servers: 3, users: 12, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    const { id } = await world.answer(world.engine.drain('s1'))
    await world.answer(world.engine.evacuations.cancel(id))
    await world.minutes(1)
    const left = world.on('s1').length
    assert.ok(left > 0)
    assert.equal(world.report('s1').cordoned, true)
    const plan = await world.answer(world.engine.plan({ drain: ['s2'] }))
    assert.ok(plan.placements.every(({ toServerId }) => toServerId === 's3'))
    assert.equal(world.on('s1').length, left)
  },
)
