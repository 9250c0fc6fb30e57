import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an engine that dies at every start goes on when it lives', {}, async (world) => {
  world.when('transferring', () => world.crash())
  world.kill('s1')
  for (let deaths = 0; deaths < 8; deaths++) {
    await world.seconds(60)
    // In the first calls after it has started again, and each time a little later.
    world.crash(deaths, deaths % 2 === 0 ? 'before' : 'after')
  }
  await world.minutes(5)
  assert.ok(new Set(world.told('leader.acquired').map(({ holder }) => holder)).size >= 4)
  assert.deepEqual(world.on('s1'), [])
  assert.equal(world.moved, 4)
  assert.equal(world.evacuations[0]?.status, 'completed')
})
