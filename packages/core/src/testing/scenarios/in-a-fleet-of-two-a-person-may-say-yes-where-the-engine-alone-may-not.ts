import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'in a fleet of two a person may say yes where the engine alone may not',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    world.kill('s1')
    await world.until('it is suggested', () => world.evacuations[0]?.status === 'suggested')
    await world.answer(world.engine.evacuations.approve(world.evacuations[0]?.id ?? ''))
    await world.minutes(1)
    assert.equal(world.on('s2').length, 4)
  },
)
