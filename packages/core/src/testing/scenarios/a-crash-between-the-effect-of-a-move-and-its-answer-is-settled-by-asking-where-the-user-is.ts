import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash between the effect of a move and its answer is settled by asking where the user is',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } }, users: 1 },
  async (world) => {
    world.crashAt('move', 'after')
    world.kill('s1')
    await world.minutes(2)
    // Whoever takes back a grant on a dead server tries again, and asks each time.
    const names = world.calls.map(({ name }) => name)
    assert.deepEqual(names.slice(0, names.indexOf('complete')), ['prepare', 'move', 'locate', 'verify'])
    assert.equal(world.told('connection.moved').length, 1)
    assert.equal(world.migrations[0]?.connectionsMoved, 1)
  },
)
