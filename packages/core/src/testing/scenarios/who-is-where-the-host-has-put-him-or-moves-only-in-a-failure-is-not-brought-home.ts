import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'who is where the host has put him or moves only in a failure is not brought home',
  {
    mobility: { 's1-2': 'failure-only' },
    policy: { mode: 'auto', failback: { strategy: 'immediate', stableMs: 60_000 } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    const elsewhere = ['s2', 's3', 's4'].find((server) => server !== world.home('s1-1')) ?? ''
    world.hostMoves('s1-1', elsewhere)
    world.revive('s1')
    await world.minutes(10)
    assert.deepEqual(world.on('s1').toSorted(), ['s1-3', 's1-4'])
    assert.equal(world.home('s1-1'), elsewhere)
  },
)
