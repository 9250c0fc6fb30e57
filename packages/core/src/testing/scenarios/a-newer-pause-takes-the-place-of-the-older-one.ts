import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a newer pause takes the place of the older one', { servers: 2 }, async (world) => {
  await world.answer(world.engine.pause('all', { forMs: 60_000 }))
  await world.answer(world.engine.pause('all', { reason: 'longer than I thought' }))
  await world.minutes(30)
  assert.equal((await world.refused(world.engine.drain('s1'))).code, 'guard_denied')
  assert.deepEqual(
    world.engine.status().pauses.map(({ until, reason }) => [until, reason]),
    [[null, 'longer than I thought']],
  )
})
