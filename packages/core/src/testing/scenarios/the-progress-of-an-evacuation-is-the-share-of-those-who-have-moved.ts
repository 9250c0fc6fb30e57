import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the progress of an evacuation is the share of those who have moved',
  {
    servers: [{ id: 's1' }, { id: 's2', capacity: 5 }, { id: 's3', capacity: 5 }],
    users: 10,
    policy: { mode: 'auto', placement: { fillLimit: 1 }, migration: { rates: { overall: { perSecond: 0.5, burst: 1 } } } },
  },
  async (world) => {
    const { id } = await world.answer(world.engine.drain('s1'))
    await world.until('four have moved', () => world.moved === 4)
    await world.seconds(0.5)
    const { progress, moved, connections } = await world.answer(world.engine.evacuations.get(id))
    assert.deepEqual([progress, moved, connections], [40, 4, 10])
    await world.minutes(2)
    const ended = await world.answer(world.engine.evacuations.get(id))
    assert.deepEqual([ended.progress, ended.moved, ended.status], [100, 10, 'completed'])
  },
)
