import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash before the call of a move repeats it with its key',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } }, users: 1 },
  async (world) => {
    world.crashAt('move', 'before')
    world.kill('s1')
    await world.minutes(2)
    const intended = world.told('move.started').map(({ key }) => key)
    assert.deepEqual(new Set(world.keys), new Set(intended))
    assert.deepEqual([world.keys.length, world.moved], [1, 1])
    assert.deepEqual(world.on('s1'), [])
  },
)
