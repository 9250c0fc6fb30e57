import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a list that falls by more than half is believed when it comes again', {}, async (world) => {
  world.unlist('s2', 's3', 's4')
  await world.seconds(20)
  assert.equal(world.engine.status().registry.stale, true)
  await world.seconds(15)
  assert.equal(world.engine.status().registry.stale, false)
  assert.deepEqual(world.told('server.removed'), [])
  await world.seconds(15)
  assert.deepEqual(
    world.told('server.removed').map(({ serverId }) => serverId),
    ['s2', 's3', 's4'],
  )
})
