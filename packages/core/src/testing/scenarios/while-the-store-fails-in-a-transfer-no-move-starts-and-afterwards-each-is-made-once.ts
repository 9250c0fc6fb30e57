import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'while the store fails in a transfer no move starts and afterwards each is made once',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { concurrency: 4 } }, users: 16 },
  async (world) => {
    let failedAt = 0
    world.engine.on('connection.moved', () => {
      if (failedAt > 0) return
      failedAt = world.now
      world.fault('store.fails', 60)
    })
    world.kill('s1')
    await world.seconds(50)
    assert.match(world.engine.status().storeTrouble ?? '', /database is starting up/)
    // Nor one whose intent was kept before: its outcome could not be.
    assert.deepEqual(
      world.calls.filter(({ name, at }) => name === 'move' && at > failedAt + 500),
      [],
    )
    await world.minutes(2)
    assert.equal(world.engine.status().storeTrouble, null)
    assert.deepEqual([world.on('s1').length, world.moved], [0, 16])
  },
)
