import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('what only tells and changes nothing is in the journal once though its answer is lost', {}, async (world) => {
  world.fault('store.fails_after_writing', 30, 0, 0.8)
  world.slow('s1', 2000)
  await world.minutes(1)
  const kept = (await world.journal())
    .filter(({ type }) => type === 'server.verdict_changed')
    .map(({ at, data }) => JSON.stringify([at, data]))
  assert.equal(new Set(kept).size, kept.length)
})
