import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a target that refuses its preparation gets nobody and another one does',
  { servers: 4, users: 1 },
  async (world) => {
    world.when('preparing', () => world.refusePreparation(String(world.migrations[0]?.toServerId)))
    world.kill('s1')
    await world.minutes(2)
    const [first, second] = world.migrations
    assert.match(first?.errorMessage ?? '', /preparing s\d failed: .*no room on disk/)
    assert.deepEqual([first?.status, first?.retryCount], ['failed', 0])
    assert.notEqual(first?.toServerId, second?.toServerId)
    assert.deepEqual(
      world.calls.flatMap(({ name, move }) => (name === 'move' ? move?.to.id : [])),
      [second?.toServerId],
    )
    assert.deepEqual(world.on('s1'), [])
  },
)
