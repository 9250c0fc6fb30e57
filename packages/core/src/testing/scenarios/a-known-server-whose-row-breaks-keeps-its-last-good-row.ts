import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a known server whose row breaks keeps its last good row', {}, async (world) => {
  const server = world.server('s2')
  server.row = { ...server.row, host: 'not a host' }
  await world.minutes(1)
  assert.equal(world.report('s2').host, '10.0.0.2')
  assert.deepEqual(world.told('server.removed'), [])
  const broken = world.told('warning').filter(({ code }) => code === 'invalid_row')
  assert.equal(broken.length, 1)
  assert.match(broken[0]?.message ?? '', /row of server "s2" is skipped: host/)
})
