import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a new server with a broken row is skipped and hurts nobody', {}, async (world) => {
  world.add('s5')
  const server = world.server('s5')
  server.row = { ...server.row, capacity: -1 }
  world.kill('s1')
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  assert.ok(world.engine.status().servers.every(({ serverId }) => serverId !== 's5'))
  assert.equal(world.told('warning').filter(({ code, message }) => code === 'invalid_row' && message.includes('capacity')).length, 1)
  assert.ok(world.engine.status().registry.skippedRows > 1)
})
