import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('after a stop every call is refused as stopped', { servers: 2, policy: { mode: 'suggest' } }, async (world) => {
  await world.answer(world.engine.drain('s1'))
  const { engine } = world
  const { id } = world.migration()
  world.redeploy()
  await world.seconds(5)
  const calls = [engine.plan({ drain: ['s1'] }), engine.drain('s1'), engine.pause(), engine.migrations.approve(id), engine.start()]
  const { answers, refusals } = await world.atOnce<unknown>(...calls)
  assert.deepEqual([answers, refusals.map(({ code }) => code)], [[], calls.map(() => 'stopped')])
  assert.deepEqual([engine.status().state, world.migration().status], ['stopped', 'suggested'])
})
