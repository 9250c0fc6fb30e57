import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a full disk and a busy processor keep users away',
  { servers: [{ id: 's1' }, { id: 's2', resources: { diskPercent: 96 } }, { id: 's3', resources: { cpuPercent: 91 } }, { id: 's4' }] },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    assert.deepEqual([world.on('s2'), world.on('s3'), world.on('s4').length], [[], [], 4])
    const told = world.decisions[0]?.cohorts[0]?.candidates.flatMap((one) => ('excluded' in one ? one.message : []))
    assert.deepEqual(told?.slice().sort(), [
      'it is the server being left',
      'its CPU is at 91 % (limit 90 %)',
      'its disk is at 96 % (limit 95 %)',
    ])
  },
)
