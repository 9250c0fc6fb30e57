import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a pause ends with its time', { servers: 2 }, async (world) => {
  await world.answer(world.engine.pause('all', { forMs: 600_000 }))
  const [pause] = world.told('pause.set')
  assert.ok(Math.abs((pause?.until ?? 0) - world.engine.status().at - 600_000) < 2000)
  assert.equal((await world.refused(world.engine.migrations.create({ serverId: 's1' }))).code, 'guard_denied')
  world.kill('s1')
  await world.minutes(9)
  assert.deepEqual([world.moved, world.migrations], [0, []])
  world.revive('s1')
  await world.minutes(2)
  await world.answer(world.engine.drain('s1'))
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
})
