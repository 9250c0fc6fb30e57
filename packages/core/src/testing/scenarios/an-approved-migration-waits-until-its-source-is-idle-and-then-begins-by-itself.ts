import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'an approved migration waits until its source is idle and then begins by itself',
  { servers: 2, guards: true, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.migrations.create({ serverId: 's1', reason: 'rebalancing' }))
    world.forbid('in use', { servers: ['s1'] })
    await world.minutes(1)
    await world.answer(world.engine.migrations.approve(world.migration().id))
    await world.minutes(10)
    assert.deepEqual([world.migration().status, world.moved, world.reserved], ['scheduled', 0, 4])
    assert.deepEqual(
      world.told('guard.denied').map(({ guard, message }) => [guard, message]),
      [['host', 'in use forbids rebalancing: the host says in use']],
    )
    world.allow('in use')
    await world.minutes(1)
    assert.deepEqual([world.migration().status, world.on('s1')], ['completed', []])
  },
)
