import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an acknowledgement outlives a restart', { servers: 7, users: { s1: 1, s2: 1 } }, async (world) => {
  world.kill('s6')
  world.kill('s7')
  await world.minutes(1)
  for (const { id } of world.incidents) await world.answer(world.engine.incidents.acknowledge(id))
  world.crash()
  await world.minutes(2)
  // Five are left, and the cap is one.
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
})
