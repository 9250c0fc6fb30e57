import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an audit log that was down when the engine crashed misses nothing', {}, async (world) => {
  world.fault('log.fails', 90)
  world.when('transferring', () => world.crash())
  world.kill('s1')
  await world.minutes(1.6)
  world.crash()
  await world.minutes(4)
  const kept = await world.journal()
  assert.ok(kept.filter(({ type }) => type === 'connection.moved').length === 4)
  assert.deepEqual(
    kept.filter(({ seq }) => !world.audited.has(`journal-${seq}`)),
    [],
  )
})
