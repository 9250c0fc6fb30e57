import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a migration of which nothing moves fails and says why',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, migration: { targetsPerConnection: 1 } } },
  async (world) => {
    world.refuse('s1-1', 's1-2', 's1-3', 's1-4')
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    const [failed] = world.told('migration.failed')
    assert.match(failed?.error ?? '', /none of 4 connections could be moved: .*does not want/)
    assert.equal(failed?.rollbackSuccess, null)
    // A refusal is for good: asking again changes nothing.
    assert.equal(world.migrations[0]?.retryCount, 0)
    assert.equal(world.keys.length, 4)
  },
)
