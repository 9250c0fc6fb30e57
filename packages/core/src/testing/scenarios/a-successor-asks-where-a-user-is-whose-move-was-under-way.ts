import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a successor asks where a user is whose move was under way', { engines: 2, users: 1 }, async (world) => {
  world.crashAt('move', 'after')
  await world.answer(world.engine.drain('s1'))
  await world.minutes(2)
  assert.deepEqual([world.keys.length, world.moved], [1, 1])
  const tokens = world.calls.flatMap(({ name, move }) => (['move', 'locate'].includes(name) && move ? `${name} ${move.fencingToken}` : []))
  assert.deepEqual(tokens, ['move 1', 'locate 2'])
  assert.equal(world.migrations[0]?.status, 'completed')
})
