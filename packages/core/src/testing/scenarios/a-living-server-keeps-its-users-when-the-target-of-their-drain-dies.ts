import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a living server keeps its users when the target of their drain dies',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { concurrency: 1 } }, users: 12 },
  async (world) => {
    world.engine.on('connection.moved', () => world.kill('s2'))
    await world.answer(world.engine.drain('s1'))
    await world.seconds(40)
    assert.equal(world.migrations[0]?.status, 'failed')
    for (const user of world.on('s1')) assert.deepEqual(world.grants(user), ['s1'])
    assert.ok(world.on('s1').length >= 9)
    // Whom the panel cannot take off the dead target is listed.
    assert.deepEqual(world.migrations[0]?.residue, world.on('s2'))
  },
)
