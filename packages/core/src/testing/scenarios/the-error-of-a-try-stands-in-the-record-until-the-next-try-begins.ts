import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the error of a try stands in the record until the next try begins',
  { servers: 2, policy: { mode: 'auto', migration: { backoffMs: 20_000 } } },
  async (world) => {
    world.fault('mover.fails_prepare', 5)
    await world.answer(world.engine.drain('s1'))
    await world.seconds(4)
    const waiting = world.migration()
    assert.deepEqual([waiting.status, waiting.retryCount], ['scheduled', 1])
    assert.match(waiting.errorMessage ?? '', /preparing s2 failed: no room on disk/)
    assert.ok((waiting.notBefore ?? 0) > world.engine.status().at)
    await world.minutes(1)
    const { status, retryCount, errorMessage, notBefore } = world.migration()
    assert.deepEqual([status, retryCount, errorMessage, notBefore], ['completed', 1, null, null])
  },
)
