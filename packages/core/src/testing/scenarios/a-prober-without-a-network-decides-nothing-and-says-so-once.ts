import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a prober without a network decides nothing and says so once', {}, async (world) => {
  world.blind(true)
  await world.minutes(10)
  assert.deepEqual(
    world.told('guard.denied').map(({ guard }) => guard),
    ['no_control'],
  )
  assert.match(world.told('guard.denied')[0]?.remedy ?? '', /prober's own network/)
  world.blind(false)
  await world.minutes(1)
  assert.deepEqual(world.incidents, [])
  assert.equal(world.engine.status().counts.up, 4)
})
