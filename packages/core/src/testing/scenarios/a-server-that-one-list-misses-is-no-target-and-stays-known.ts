import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a server that one list misses is no target and stays known',
  { policy: { mode: 'auto', registryRefreshMs: 60_000 } },
  async (world) => {
    await world.seconds(50)
    world.unlist('s2')
    await world.seconds(10)
    world.kill('s1')
    await world.seconds(30)
    world.unlist()
    assert.deepEqual(world.on('s1'), [])
    assert.deepEqual(world.on('s2'), [])
    assert.equal(world.decisions[0]?.cohorts[0]?.exclusions.not_listed, 1)
    await world.minutes(2)
    assert.deepEqual(world.told('server.removed'), [])
  },
)
