import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a plan whose target has been cordoned since is refused by the name of that target',
  { servers: 2 },
  async (world) => {
    const plan = await world.answer(world.engine.plan({ drain: ['s1'] }))
    await world.answer(world.engine.cordon('s2'))
    const refused = await world.refused(world.engine.execute(plan))
    assert.equal(refused.code, 'plan_stale')
    assert.match(refused.message, /target s2: was up, not cordoned.*is up, cordoned, capacity 20/)
    assert.match(refused.remedy ?? '', /Plan again/)
    await world.seconds(30)
    assert.deepEqual([world.evacuations, world.moved, world.report('s2').reserved], [[], 0, 0])
  },
)
