import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('observe decides and writes down why and touches nothing', { policy: { mode: 'observe' } }, async (world) => {
  world.kill('s1')
  await world.minutes(2)
  assert.deepEqual(
    world.decisions.map(({ mode, connections, placed }) => [mode, connections, placed]),
    [['observe', 4, 4]],
  )
  assert.deepEqual(world.migrations, [])
  assert.equal(world.server('s1').status, 'online')
  assert.equal(world.incidents[0]?.decisionId, world.decisions[0]?.id)
})
