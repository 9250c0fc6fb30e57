import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a preparation that fails for good moves nobody and leaves nothing behind',
  { servers: 2, policy: { mode: 'auto', migration: { retryUnplacedMs: 3_600_000 } } },
  async (world) => {
    world.refusePreparation('s2')
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    const { status, rollbackSuccess, residue, retryCount, errorMessage } = world.migration()
    assert.deepEqual([status, rollbackSuccess, residue, retryCount], ['failed', null, [], 0])
    assert.equal(errorMessage, 'preparing s2 failed: no room on disk')
    assert.deepEqual([world.keys, world.reserved], [[], 0])
    for (const user of world.on('s1')) assert.deepEqual(world.grants(user), ['s1'])
    assert.equal(world.on('s1').length, 4)
  },
)
