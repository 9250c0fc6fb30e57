import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'two drains that are asked for at once are both carried out',
  {
    servers: [{ id: 's1' }, { id: 's2' }, { id: 's3', capacity: 5 }, { id: 's4', capacity: 5 }],
    users: { s1: 6, s2: 6 },
    policy: { mode: 'auto', placement: { fillLimit: 1 } },
  },
  async (world) => {
    await Promise.all([world.answer(world.engine.drain('s1')), world.answer(world.engine.drain('s2'))])
    await world.minutes(1)
    // Which of them is first, the answers of the store and the registry decide.
    assert.deepEqual(world.evacuations.map(({ fromServerIds }) => fromServerIds[0]).sort(), ['s1', 's2'])
    // As if they had come one after the other: the second one moves whom the rest of the room holds.
    assert.deepEqual([world.on('s3').length, world.on('s4').length], [5, 5])
  },
)
