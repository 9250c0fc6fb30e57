import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a time in the past or beyond a year or of no number is refused',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const now = world.engine.status().at
    for (const at of [now - 61_000, now + 366 * 86_400_000, Number.NaN, Number.POSITIVE_INFINITY, 'tomorrow', {}]) {
      const refused = await world.refused(world.engine.migrations.schedule(world.migration().id, { at: at as number }))
      assert.deepEqual([refused.code, refused.remedy], ['invalid_argument', 'Leave it out to start now.'])
      assert.match(refused.message, /^at must be milliseconds since 1970, from a minute ago to a year ahead, not /)
    }
    assert.deepEqual([world.migration().status, world.migration().notBefore], ['suggested', null])
  },
)
