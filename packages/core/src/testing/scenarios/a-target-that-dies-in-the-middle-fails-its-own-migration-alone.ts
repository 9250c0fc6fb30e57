import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a target that dies in the middle fails its own migration alone',
  { servers: 8, users: 21, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    let target = ''
    world.when('transferring', () => {
      target = String(world.migrations[0]?.toServerId)
      world.kill(target)
    })
    world.kill('s1')
    await world.minutes(8)
    assert.deepEqual([world.on('s1').length, world.on(target).length], [0, 0])
    const first = world.migrations.filter(({ evacuationId }) => evacuationId === world.evacuations[0]?.id)
    const failed = first.filter(({ status }) => status === 'failed')
    assert.ok(failed.length >= 1)
    assert.deepEqual(new Set(failed.map(({ toServerId }) => toServerId)), new Set([target]))
  },
)
