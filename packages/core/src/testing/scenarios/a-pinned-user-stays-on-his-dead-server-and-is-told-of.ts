import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a pinned user stays on his dead server and is told of', { mobility: { 's1-1': 'pinned' } }, async (world) => {
  world.kill('s1')
  await world.minutes(3)
  assert.deepEqual(world.on('s1'), ['s1-1'])
  assert.deepEqual(
    world.told('connection.unplaced').map(({ connectionId, code }) => [connectionId, code]),
    [['s1-1', 'pinned']],
  )
  assert.equal(world.evacuations[0]?.status, 'completed')
})
