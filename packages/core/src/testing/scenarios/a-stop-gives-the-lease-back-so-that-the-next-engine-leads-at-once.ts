import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a stop gives the lease back so that the next engine leads at once',
  { servers: 2, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] } } },
  async (world) => {
    world.when('transferring', () => world.redeploy())
    world.kill('s1')
    await world.seconds(25)
    assert.deepEqual(world.on('s1'), [])
    assert.equal(world.told('leader.acquired').length, 2)
  },
)
