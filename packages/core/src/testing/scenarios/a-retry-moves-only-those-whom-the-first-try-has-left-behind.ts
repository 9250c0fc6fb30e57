import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a retry moves only those whom the first try has left behind',
  { servers: 2, users: 8, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.until('two have moved', () => world.moved >= 2)
    await world.answer(world.engine.evacuations.cancel(world.evacuations[0]?.id ?? ''))
    await world.minutes(1)
    const { connectionsMoved: moved, id } = world.migration()
    assert.ok(moved >= 2 && moved < 8)
    // Whom the host has brought back since is no part of it.
    const back = world.on('s2')[0] ?? ''
    world.hostMoves(back, 's1')
    const retried = await world.answer(world.engine.migrations.retry(id))
    assert.equal(retried.connectionCountAtStart, 8 - moved)
    await world.minutes(1)
    assert.deepEqual([world.moved, world.on('s1')], [8, [back]])
  },
)
