import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a pause of the home holds the way home',
  { policy: { mode: 'auto', failback: { strategy: 'immediate', stableMs: 60_000 } } },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    world.revive('s1')
    await world.answer(world.engine.pause({ serverId: 's1' }))
    await world.minutes(20)
    assert.deepEqual(world.on('s1'), [])
    await world.answer(world.engine.resume({ serverId: 's1' }))
    await world.minutes(2)
    assert.equal(world.on('s1').length, 4)
  },
)
