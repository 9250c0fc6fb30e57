import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a write whose answer is lost is found in the store and told once', {}, async (world) => {
  world.fault('store.fails_after_writing', 40, 0, 0.5)
  world.kill('s1')
  await world.minutes(2)
  assert.deepEqual(world.on('s1'), [])
  const kept = (await world.journal()).filter(({ type }) => type === 'connection.moved')
  assert.deepEqual([kept.length, new Set(kept.map(({ data }) => (data as { key: string }).key)).size], [4, 4])
  assert.equal(world.told('connection.moved').length, 4)
  assert.equal(world.told('leader.lost').length, 0)
})
