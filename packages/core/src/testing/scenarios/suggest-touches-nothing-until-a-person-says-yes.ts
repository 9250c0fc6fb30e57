import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('suggest touches nothing until a person says yes', { policy: { mode: 'suggest' } }, async (world) => {
  world.kill('s1')
  await world.minutes(2)
  assert.ok(world.migrations.length > 0 && world.migrations.every(({ status }) => status === 'suggested'))
  assert.equal(world.moved, 0)
  assert.equal(world.server('s1').status, 'online')
  await world.answer(world.engine.evacuations.approve(world.evacuations[0]?.id ?? ''))
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.server('s1').status, 'offline')
})
