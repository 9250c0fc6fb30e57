import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a plan whose target has become smaller since is refused with both capacities',
  { servers: 2 },
  async (world) => {
    const plan = await world.answer(world.engine.plan({ drain: ['s1'] }))
    world.capacity('s2', 12)
    await world.seconds(20)
    const refused = await world.refused(world.engine.execute(plan))
    assert.equal(refused.code, 'plan_stale')
    assert.match(refused.message, /capacity 20.*capacity 12/)
    assert.equal(world.on('s1').length, 4)
  },
)
