import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('the same word twice tells nothing new', {}, async (world) => {
  for (const again of ['s2', 's2']) await world.answer(world.engine.cordon(again))
  for (const again of ['s2', 's2', 's3']) await world.answer(world.engine.uncordon(again))
  assert.deepEqual(
    world.told('server.cordoned').map(({ serverId }) => serverId),
    ['s2'],
  )
  assert.deepEqual(
    world.told('server.uncordoned').map(({ serverId }) => serverId),
    ['s2'],
  )
})
