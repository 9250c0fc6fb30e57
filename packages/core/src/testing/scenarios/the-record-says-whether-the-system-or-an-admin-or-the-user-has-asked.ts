import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the record says whether the system or an admin or the user has asked',
  { servers: 8, users: { s1: 2, s2: 2, s3: 2 } },
  async (world) => {
    const { engine } = world
    await world.answer(engine.drain('s2'))
    await world.answer(engine.migrations.create({ serverId: 's3', connectionIds: ['s3-1'], triggeredBy: 'user', autoApprove: true }))
    world.kill('s1')
    await world.minutes(1)
    assert.deepEqual(
      Object.fromEntries(world.migrations.map(({ fromServerId, reason, triggeredBy }) => [fromServerId, [reason, triggeredBy]])),
      { s1: ['server-down', 'system'], s2: ['maintenance', 'admin'], s3: ['user-request', 'user'] },
    )
    assert.deepEqual([world.on('s1'), world.on('s2'), world.on('s3')], [[], [], ['s3-2']])
  },
)
