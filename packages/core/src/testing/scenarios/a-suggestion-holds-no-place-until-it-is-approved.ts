import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a suggestion holds no place until it is approved',
  { servers: 2, users: 6, policy: { mode: 'suggest', migration: { concurrency: 1 } } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(5)
    assert.deepEqual([world.reserved, world.moved, world.migration().status], [0, 0, 'suggested'])
    let held = 0
    world.when('preparing', () => {
      held = world.reserved
    })
    await world.answer(world.engine.migrations.approve(world.migration().id))
    await world.minutes(1)
    assert.equal(held, 6)
    assert.deepEqual(world.on('s1'), [])
  },
)
