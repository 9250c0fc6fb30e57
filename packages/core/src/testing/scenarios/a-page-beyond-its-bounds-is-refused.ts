import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a page beyond its bounds is refused', {}, async (world) => {
  for (const filter of [{ limit: 0 }, { limit: 201 }, { limit: 1.5 }, { offset: -1 }, { offset: Number.NaN }]) {
    const { code, message } = await world.refused(world.engine.migrations.list(filter))
    assert.equal(code, 'invalid_argument')
    assert.match(message, /^(limit must be a whole number from 1 to 200|offset must be a whole number from 0), not /)
  }
  const { total, limit, offset } = await world.answer(world.engine.migrations.list())
  assert.deepEqual([total, limit, offset], [0, 50, 0])
})
