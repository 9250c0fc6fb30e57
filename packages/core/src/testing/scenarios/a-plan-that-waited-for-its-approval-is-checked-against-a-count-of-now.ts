import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a plan that waited for its approval is checked against a count of now',
  { servers: 2, users: { s1: 4 }, capacity: 10, registry: { tellsLoad: false }, policy: { mode: 'suggest' } },
  async (world) => {
    world.kill('s1')
    await world.until('moves are suggested', () => world.evacuations.length > 0)
    for (let index = 1; index <= 9; index++) world.addUser(`host-${index}`, 's2')
    await world.minutes(5)
    await world.answer(world.engine.evacuations.approve(world.evacuations[0]?.id ?? ''))
    await world.minutes(1)
    assert.equal(world.on('s2').length, 10)
    assert.equal(world.on('s1').length, 3)
  },
)
