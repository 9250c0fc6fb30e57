import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'who fails for the time being while others move is planned anew for another target',
  { servers: 3, users: 2, policy: { mode: 'auto', migration: { moveTries: 1, concurrency: 1 } } },
  async (world) => {
    await world.answer(world.engine.cordon('s3'))
    let started = 0
    world.engine.on('move.started', async () => {
      if (++started !== 2) return
      world.fault('mover.is_unavailable', 1)
      await world.engine.uncordon('s3')
    })
    world.kill('s1')
    await world.minutes(2)
    assert.deepEqual([world.on('s1').length, world.on('s2').length, world.on('s3').length], [0, 1, 1])
    assert.deepEqual(
      world.migrations.map(({ toServerId, status, connectionsFailed }) => [toServerId, status, connectionsFailed]),
      [
        ['s2', 'completed', 1],
        ['s3', 'completed', 0],
      ],
    )
  },
)
