import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a server that stays dead has one incident with its evidence', {}, async (world) => {
  world.kill('s1')
  await world.minutes(10)
  assert.equal(world.incidents.length, 1)
  const [incident] = world.incidents
  assert.ok(incident?.control && incident.control.host !== '10.0.0.1' && incident.control.at >= incident.suspectedAt)
  assert.ok(incident.evidence.length > 0 && incident.evidence.every(({ serverId }) => serverId === 's1'))
  assert.ok(incident.evidence.some(({ received }) => received === 0))
})
