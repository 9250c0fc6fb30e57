import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'an engine that does not lead decides nothing and answers what is kept',
  { servers: 2, engines: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { id } = world.migration()
    const { standby } = world
    const { answers, refusals } = await world.atOnce<unknown>(standby.drain('s2'), standby.migrations.approve(id), standby.pause())
    assert.deepEqual([answers, new Set(refusals.map(({ code }) => code))], [[], new Set(['not_leader'])])
    // Where to ask instead can be seen.
    assert.deepEqual([standby.status().state, world.engine.status().state], ['standby', 'leading'])
    assert.equal((await world.answer(standby.migrations.get(id))).status, 'suggested')
    assert.deepEqual([world.moved, world.evacuations.length], [0, 1])
  },
)
