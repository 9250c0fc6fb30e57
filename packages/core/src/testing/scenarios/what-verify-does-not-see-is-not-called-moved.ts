import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'what verify does not see is not called moved',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { moveTries: 1 } } },
  async (world) => {
    world.fault('mover.lies', 30)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(29)
    assert.equal(world.told('connection.moved').length, 0)
    assert.equal(world.on('s1').length, 4)
    assert.equal(world.revokes.length, 0)
    await world.minutes(5)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.told('connection.moved').length, 4)
  },
)
