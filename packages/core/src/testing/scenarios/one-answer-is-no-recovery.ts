import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('one answer is no recovery', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.revive('s1')
  await world.until('it has answered once', () => world.report('s1').verdict.reasons[0].code === 'recovering')
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual(
    world.incidents.map(({ status }) => status),
    ['open'],
  )
  assert.deepEqual(world.told('incident.recovered'), [])
  assert.equal(world.server('s1').status, 'offline')
})
