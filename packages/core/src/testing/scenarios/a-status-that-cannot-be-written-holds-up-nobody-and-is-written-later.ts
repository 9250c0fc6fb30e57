import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a status that cannot be written holds up nobody and is written later', {}, async (world) => {
  world.fault('registry.refuses_status', 90)
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.server('s1').status, 'online')
  await world.minutes(3)
  assert.equal(world.server('s1').status, 'offline')
  assert.equal(world.told('server.status_set').length, 1)
})
