import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'what is cordoned or in maintenance or dead is never adopted',
  { servers: 6, policy: { mode: 'auto', failback: { adoptInactive: true, stableMs: 60_000 } } },
  async (world) => {
    await world.answer(world.engine.cordon('s2'))
    world.status('s2', 'offline')
    world.status('s3', 'maintenance')
    world.status('s4', 'offline')
    await world.seconds(20)
    world.kill('s4')
    await world.minutes(60)
    assert.deepEqual(
      ['s2', 's3', 's4'].map((server) => world.server(server).status),
      ['offline', 'maintenance', 'offline'],
    )
    assert.deepEqual(world.told('server.status_set'), [])
    await world.answer(world.engine.uncordon('s2'))
    await world.minutes(3)
    assert.equal(world.server('s2').status, 'online')
  },
)
