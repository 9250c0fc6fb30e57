import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a target that dies before its first move gets nobody',
  { servers: 8, users: 1, panel: { has: ['locate', 'verify', 'rollback', 'complete'] } },
  async (world) => {
    let target = ''
    world.when('preparing', () => {
      target = String(world.migrations[0]?.toServerId)
      world.kill(target)
    })
    world.kill('s1')
    await world.minutes(5)
    assert.ok(!world.calls.some(({ name, move }) => name === 'move' && String(move?.to.id) === target))
    assert.deepEqual([world.on('s1').length, world.on(target).length, world.moved], [0, 0, 1])
    assert.match(world.migrations[0]?.errorMessage ?? '', new RegExp(`${target} (is down|failed a fresh check)`))
  },
)
