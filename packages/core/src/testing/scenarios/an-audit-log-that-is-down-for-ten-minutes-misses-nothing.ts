import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an audit log that is down for ten minutes misses nothing', {}, async (world) => {
  world.fault('log.fails', 600)
  world.kill('s1')
  await world.minutes(9)
  assert.deepEqual(world.on('s1'), [])
  const before = (await world.journal()).length
  assert.ok(world.audited.size < before)
  assert.equal(world.told('warning').filter(({ code }) => code === 'sink_failed').length, 1)
  await world.minutes(3)
  const kept = await world.journal()
  assert.deepEqual(
    kept.filter(({ seq }) => !world.audited.has(`journal-${seq}`)),
    [],
  )
})
