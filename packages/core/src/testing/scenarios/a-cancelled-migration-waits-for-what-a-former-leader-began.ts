import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a cancelled migration waits for what a former leader began', { users: 1 }, async (world) => {
  world.kill('s1')
  world.crashAt('move', 'before')
  await world.until('a move is begun', () => world.told('move.started').length > 0)
  world.kill(world.told('move.started')[0]?.toServerId ?? '')
  await world.until('another one leads', () => world.told('leader.acquired').length === 2)
  world.revive('s1')
  await world.minutes(3)
  assert.deepEqual(world.told('leader.lost'), [])
  assert.deepEqual([world.on('s1'), world.evacuations[0]?.status], [['s1-1'], 'cancelled'])
})
