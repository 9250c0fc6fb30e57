import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash while the target is prepared starts no move and loses nobody',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } } },
  async (world) => {
    world.crashAt('prepare', 'after')
    world.kill('s1')
    await world.minutes(2)
    assert.equal(world.calls.filter(({ name }) => name === 'prepare').length, 2)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.moved, 4)
    assert.equal(world.migrations.length, 1)
  },
)
