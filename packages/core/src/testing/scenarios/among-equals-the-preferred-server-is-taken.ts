import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'among equals the preferred server is taken',
  { users: 1, rows: { 's1-1': { preferredServer: 's4' } } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.equal(world.home('s1-1'), 's4')
  },
)
