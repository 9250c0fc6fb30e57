import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a pause or an override of no length or of too much is refused', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  const id = world.incidents[0]?.id ?? ''
  for (const forMs of [0, -1, Number.NaN, 366 * 86_400_000]) {
    assert.equal((await world.refused(world.engine.pause('all', { forMs }))).code, 'invalid_argument')
    assert.equal((await world.refused(world.engine.incidents.overrideGuard(id, { forMs }))).code, 'invalid_argument')
  }
  assert.deepEqual([world.told('pause.set'), world.incidents[0]?.overrideUntil], [[], null])
})
