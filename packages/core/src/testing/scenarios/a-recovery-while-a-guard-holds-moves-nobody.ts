import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a recovery while a guard holds moves nobody', {}, async (world) => {
  await world.answer(world.engine.pause('all'))
  world.kill('s1')
  await world.minutes(1)
  world.revive('s1')
  await world.minutes(1)
  await world.answer(world.engine.resume('all'))
  await world.minutes(1)
  assert.deepEqual(
    world.incidents.map(({ status, decisionId }) => [status, decisionId]),
    [['closed', null]],
  )
  assert.equal(world.moved, 0)
})
