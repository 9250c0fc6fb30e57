import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an engine that runs is not started again', {}, async (world) => {
  const { code, remedy } = await world.refused(world.engine.start())
  assert.deepEqual([code, remedy], ['already_started', 'Call start() once.'])
  assert.equal(world.told('leader.acquired').length, 1)
})
