import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a crash between two batches loses nobody and brings nobody home twice',
  {
    users: 9,
    policy: { mode: 'auto', failback: { strategy: 'gradual', stableMs: 60_000, batchPercent: 34, batchIntervalMs: 120_000 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.until('a batch is home', () => world.on('s1').length >= 3)
    world.crash()
    await world.minutes(15)
    const home = world.told('connection.moved').filter(({ toServerId }) => toServerId === 's1')
    assert.deepEqual([home.length, new Set(home.map(({ connectionId }) => connectionId)).size], [9, 9])
    assert.equal(world.on('s1').length, 9)
  },
)
