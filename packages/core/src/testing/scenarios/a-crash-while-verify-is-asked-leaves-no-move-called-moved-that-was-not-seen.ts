import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash while verify is asked leaves no move called moved that was not seen',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } }, users: 1 },
  async (world) => {
    world.crashAt('verify', 'before')
    await world.answer(world.engine.drain('s1'))
    await world.seconds(0.5)
    assert.deepEqual(world.told('connection.moved'), [])
    await world.minutes(2)
    assert.ok(world.calls.some(({ name }) => name === 'verify'))
    assert.equal(world.told('connection.moved').length, 1)
  },
)
