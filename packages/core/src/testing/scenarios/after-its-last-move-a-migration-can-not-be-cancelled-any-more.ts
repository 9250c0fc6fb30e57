import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('after its last move a migration can not be cancelled any more', { servers: 2 }, async (world) => {
  const refusals: ReturnType<typeof world.refused>[] = []
  world.when('completing', () => refusals.push(world.refused(world.engine.migrations.cancel(world.migration().id))))
  await world.answer(world.engine.drain('s1'))
  await world.minutes(1)
  const [refused] = await Promise.all(refusals)
  assert.equal(refused?.code, 'illegal_transition')
  assert.match(refused?.message ?? '', /does not take "cancel"/)
  assert.deepEqual([world.migration().status, world.on('s1')], ['completed', []])
})
