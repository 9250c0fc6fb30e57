import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'where no server answers nobody is moved whatever the ratio',
  { users: { s1: 2, s2: 2 }, policy: { mode: 'auto', detect: { canaries: [{ host: '192.0.2.1' }] }, guards: { massFailureRatio: 1 } } },
  async (world) => {
    await world.seconds(20)
    for (const server of ['s1', 's2', 's3', 's4']) world.kill(server)
    await world.minutes(2)
    assert.deepEqual(
      ['s1', 's2', 's3', 's4'].map((server) => world.held(server)),
      Array(4).fill(['all_down']),
    )
    assert.deepEqual(world.decisions, [])
    world.revive('s4')
    await world.minutes(1)
    assert.equal(world.on('s4').length, 4)
  },
)
