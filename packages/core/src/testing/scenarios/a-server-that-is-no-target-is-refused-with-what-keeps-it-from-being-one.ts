import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a server that is no target is refused with what keeps it from being one',
  { servers: 5, users: 2, policy: { mode: 'auto', registryRefreshMs: 1000 } },
  async (world) => {
    await world.answer(world.engine.cordon('s2'))
    world.status('s3', 'maintenance')
    world.status('s4', 'offline')
    world.kill('s5')
    await world.minutes(1)
    const why = async (toServerId: string) => (await world.refused(world.engine.migrations.create({ serverId: 's1', toServerId }))).message
    assert.equal(await why('s2'), 'toServerId s2 is no target now: an operator has cordoned it (cordoned)')
    assert.equal(await why('s3'), 'toServerId s3 is no target now: it is in maintenance (maintenance)')
    assert.equal(await why('s4'), 'toServerId s4 is no target now: its status is offline (not_online)')
    assert.match(await why('s5'), /^toServerId s5 is no target now: its (status|verdict) is (offline|down)/)
  },
)
