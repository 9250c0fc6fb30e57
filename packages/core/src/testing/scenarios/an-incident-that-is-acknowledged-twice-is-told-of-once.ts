import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an incident that is acknowledged twice is told of once', { servers: 8 }, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  const id = world.incidents[0]?.id ?? ''
  const first = await world.answer(world.engine.incidents.acknowledge(id))
  await world.minutes(1)
  const again = await world.answer(world.engine.incidents.acknowledge(id))
  assert.deepEqual([again.acknowledgedAt, world.told('incident.acknowledged').length], [first.acknowledgedAt, 1])
})
