import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a machine that is overloaded gets nobody',
  { servers: [{ id: 's1' }, { id: 's2', resources: { memoryPercent: 91 } }, { id: 's3', resources: { memoryPercent: 90 } }] },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(world.on('s2'), [])
    assert.equal(world.on('s3').length, 4)
    assert.ok(
      world.decisions[0]?.cohorts[0]?.candidates.some((one) => 'excluded' in one && one.message === 'its memory is at 91 % (limit 90 %)'),
    )
  },
)
