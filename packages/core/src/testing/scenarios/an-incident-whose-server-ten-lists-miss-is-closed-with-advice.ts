import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an incident whose server ten lists miss is closed with advice', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.unlist('s1')
  await world.seconds(130)
  assert.equal(world.incidents[0]?.status, 'open')
  await world.seconds(40)
  assert.equal(world.incidents[0]?.status, 'closed')
  assert.match(world.told('incident.closed')[0]?.advice ?? '', /gone from the registry/)
})
