import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'without fast confirmation the third failing check decides',
  { policy: { mode: 'auto', detect: { confirm: null, checkIntervalMs: 10_000, jitter: 0 } } },
  async (world) => {
    await world.seconds(20)
    world.kill('s1')
    await world.until('it is down', () => world.report('s1').verdict.verdict === 'down')
    const { values } = world.report('s1').verdict.reasons[0]
    assert.deepEqual([values?.failures, values?.forMs], [3, 20_000])
    await world.minutes(1)
    assert.deepEqual(world.on('s1'), [])
  },
)
