import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('auto holds in a fleet of two without a canary', { servers: 2 }, async (world) => {
  world.kill('s1')
  await world.minutes(2)
  assert.deepEqual(world.held('s1'), ['too_few_servers'])
  assert.match(world.told('incident.held')[0]?.guards[0]?.remedy ?? '', /canaries/)
  assert.equal(world.moved, 0)
})
