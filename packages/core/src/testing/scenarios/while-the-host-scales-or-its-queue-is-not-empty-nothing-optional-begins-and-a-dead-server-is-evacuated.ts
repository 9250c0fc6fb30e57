import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'while the host scales or its queue is not empty nothing optional begins and a dead server is evacuated',
  { servers: 8, users: { s1: 2, s2: 2 }, guards: true },
  async (world) => {
    for (const name of ['scaling', 'queue']) {
      world.forbid(name)
      for (const reason of ['rebalancing', 'cost-optimization', 'maintenance', 'failback'] as const) {
        const { code, message } = await world.refused(world.engine.migrations.create({ serverId: 's1', reason }))
        assert.deepEqual([code, message], ['guard_denied', `${name} forbids ${reason}: the host says ${name}`])
      }
      world.allow(name)
    }
    assert.deepEqual(world.migrations, [])
    world.forbid('scaling')
    world.kill('s2')
    await world.minutes(1)
    assert.deepEqual([world.on('s1').length, world.on('s2')], [2, []])
  },
)
