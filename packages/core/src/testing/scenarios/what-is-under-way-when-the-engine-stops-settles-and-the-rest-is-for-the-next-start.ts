import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'what is under way when the engine stops settles and the rest is for the next start',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { concurrency: 1 } }, users: 10 },
  async (world) => {
    let moved = 0
    world.engine.on('connection.moved', () => {
      if (++moved === 3) world.redeploy()
    })
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    assert.equal(world.told('leader.acquired').length, 2)
    // What was called was settled before the lease was given back: no call is repeated.
    assert.deepEqual([world.on('s1').length, world.moved, world.keys.length], [0, 10, 10])
    assert.deepEqual(
      world.migrations.map(({ status }) => status),
      ['completed'],
    )
  },
)
