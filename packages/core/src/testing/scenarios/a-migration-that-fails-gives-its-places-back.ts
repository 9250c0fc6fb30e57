import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a migration that fails gives its places back',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { targetsPerConnection: 1 } } },
  async (world) => {
    world.refuse('s1-1', 's1-2', 's1-3', 's1-4')
    await world.answer(world.engine.drain('s1'))
    await world.seconds(30)
    assert.equal(world.migrations[0]?.status, 'failed')
    assert.deepEqual([world.report('s2').load, world.report('s2').reserved], [0, 0])
  },
)
