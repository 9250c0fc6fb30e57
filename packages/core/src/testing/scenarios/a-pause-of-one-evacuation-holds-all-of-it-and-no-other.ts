import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a pause of one evacuation holds all of it and no other',
  {
    servers: [{ id: 's1' }, { id: 's2' }, { id: 's3', capacity: 3 }, { id: 's4', capacity: 3 }, { id: 's5', capacity: 3 }],
    users: { s1: 6, s2: 2 },
    policy: { mode: 'suggest', placement: { fillLimit: 1 } },
  },
  async (world) => {
    await world.answer(world.engine.cordon('s2'))
    await world.answer(world.engine.drain('s1'))
    await world.answer(world.engine.drain('s2'))
    const [first, second] = world.evacuations.map(({ id }) => id)
    await world.answer(world.engine.pause({ evacuationId: first ?? '' }))
    await world.answer(world.engine.evacuations.approve(first ?? ''))
    await world.answer(world.engine.evacuations.approve(second ?? ''))
    await world.minutes(10)
    assert.deepEqual([world.on('s1').length, world.on('s2')], [6, []])
    await world.answer(world.engine.resume({ evacuationId: first ?? '' }))
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
  },
)
