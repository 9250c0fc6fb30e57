import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('what a mass failure held goes on when it is over', { users: { s1: 2, s2: 2 } }, async (world) => {
  world.kill('s1')
  world.kill('s2')
  await world.minutes(1)
  assert.equal(world.moved, 0)
  world.revive('s2')
  await world.minutes(1)
  assert.deepEqual(world.on('s1'), [])
  assert.deepEqual(
    world.on('s2').filter((user) => user.startsWith('s2')),
    ['s2-1', 's2-2'],
  )
  assert.deepEqual(
    world.told('incident.released').map(({ serverId }) => serverId),
    ['s1'],
  )
})
