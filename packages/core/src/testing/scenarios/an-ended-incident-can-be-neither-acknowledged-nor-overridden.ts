import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an ended incident can be neither acknowledged nor overridden', {}, async (world) => {
  world.kill('s1')
  await world.minutes(1)
  world.revive('s1')
  await world.minutes(1)
  const id = world.incidents[0]?.id ?? ''
  const { incidents } = world.engine
  for (const call of [() => incidents.acknowledge(id), () => incidents.overrideGuard(id)]) {
    const { code, message, remedy } = await world.refused(call())
    assert.deepEqual([code, message], ['illegal_transition', `incident ${id} is closed`])
    assert.match(remedy ?? '', /Only an open incident/)
  }
})
