import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'an unclear answer is asked about before anything is repeated',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } }, users: 1 },
  async (world) => {
    world.when('transferring', () => world.fault('mover.fails_unclearly', 0.5))
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    const names = world.calls.map(({ name }) => name)
    assert.deepEqual(names.slice(0, 4), ['prepare', 'move', 'locate', 'move'])
    assert.equal(new Set(world.keys).size, 1)
    assert.equal(world.home('s1-1'), 's2')
    assert.deepEqual(world.told('connection.move_failed'), [])
  },
)
