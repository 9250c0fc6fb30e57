import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('with enforced fencing moves go on until the lease ends', { users: 2 }, async (world) => {
  world.fault('leases.fail', 60)
  await world.seconds(27)
  await world.answer(world.engine.drain('s1'))
  await world.seconds(10)
  assert.deepEqual([world.on('s1'), world.moved], [[], 2])
  assert.ok(world.calls.every(({ at, move }) => at < 45_000 && (move === null || move.fencingToken === 1)))
})
