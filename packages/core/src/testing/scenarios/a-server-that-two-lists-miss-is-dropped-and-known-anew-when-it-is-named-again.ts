import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a server that two lists miss is dropped and known anew when it is named again', {}, async (world) => {
  world.unlist('s4')
  await world.seconds(40)
  assert.deepEqual(
    world.told('server.removed').map(({ serverId }) => serverId),
    ['s4'],
  )
  world.unlist()
  await world.seconds(40)
  assert.equal(world.told('server.added').filter(({ serverId }) => serverId === 's4').length, 2)
  assert.equal(world.report('s4').verdict.verdict, 'up')
})
