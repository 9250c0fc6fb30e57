import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('there is no drain of a server that is not there', {}, async (world) => {
  const { engine } = world
  for (const call of [() => engine.drain('s9'), () => engine.cordon('s9'), () => engine.plan({ drain: ['s1', 's9'] })]) {
    const refused = await world.refused(call())
    assert.equal(refused.code, 'not_found')
    assert.match(refused.message, /s9/)
  }
  assert.deepEqual([world.evacuations, world.told('server.cordoned')], [[], []])
})
