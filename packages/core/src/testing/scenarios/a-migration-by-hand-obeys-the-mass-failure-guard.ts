import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a migration by hand obeys the mass failure guard', { users: { s1: 2, s2: 2, s3: 2 } }, async (world) => {
  world.kill('s1')
  world.kill('s2')
  await world.minutes(1)
  const { code, message, remedy } = await world.refused(world.engine.migrations.create({ serverId: 's3', autoApprove: true }))
  assert.equal(code, 'guard_denied')
  assert.match(message, /^no move off s3 may start now: 2 down and 0 suspect of 4 servers; at most 1 may be while Pintail acts$/)
  assert.match(remedy ?? '', /status\(\) lists what forbids/)
  assert.equal(world.moved, 0)
})
