import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a drain leaves those whom every target refuses and moves all others',
  { servers: 8, users: 500, capacity: 600 },
  async (world) => {
    const refused = world.on('s1').filter((_, index) => index % 100 === 42)
    world.refuse(...refused)
    const { id } = await world.answer(world.engine.drain('s1'))
    await world.minutes(5)
    assert.deepEqual([world.moved, world.on('s1').toSorted(), world.reserved], [495, refused.toSorted(), 0])
    const { moved, unplaced } = await world.answer(world.engine.evacuations.get(id))
    assert.equal(moved, 495)
    assert.deepEqual(
      unplaced.map(({ connectionId, code }) => `${connectionId} ${code}`).toSorted(),
      refused.map((user) => `${user} refused_everywhere`).toSorted(),
    )
    assert.equal(world.told('connection.moved').length, 495)
    assert.deepEqual(
      refused.filter((user) => world.grants(user).join() !== 's1'),
      [],
    )
  },
)
