import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a drain whose mover lied is not completed while its users are listed there',
  { panel: { has: ['complete', 'rollback'] } },
  async (world) => {
    world.fault('mover.lies', 20)
    const { id } = await world.answer(world.engine.drain('s1'))
    await world.seconds(20)
    assert.deepEqual([world.on('s1').length, (await world.answer(world.engine.evacuations.get(id))).status], [4, 'running'])
    await world.minutes(3)
    assert.deepEqual([world.on('s1'), (await world.answer(world.engine.evacuations.get(id))).status], [[], 'completed'])
  },
)
