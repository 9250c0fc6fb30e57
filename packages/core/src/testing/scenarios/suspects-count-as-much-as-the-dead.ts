import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'suspects count as much as the dead',
  {
    servers: 10,
    users: { s1: 2 },
    policy: { mode: 'auto', detect: { confirm: { durationMs: 60_000 } }, migration: { retryUnplacedMs: 5000 } },
  },
  async (world) => {
    for (const server of ['s1', 's2', 's3']) world.kill(server)
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
    world.kill('s4')
    await world.until('s4 is suspected', () => world.report('s4').verdict.verdict === 'suspect')
    world.addUser('late', 's1')
    await world.seconds(30)
    assert.equal(world.home('late'), 's1')
    world.revive('s4')
    await world.seconds(30)
    assert.notEqual(world.home('late'), 's1')
  },
)
