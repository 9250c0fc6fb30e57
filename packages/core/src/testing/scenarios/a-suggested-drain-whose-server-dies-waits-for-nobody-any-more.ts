import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a suggested drain whose server dies waits for nobody any more',
  {
    servers: 8,
    users: { s1: 2, s2: 2 },
    policy: { mode: { default: 'suggest', 'server-down': 'auto' } },
  },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    world.kill('s2')
    await world.minutes(2)
    assert.deepEqual([world.on('s1').length, world.on('s2')], [2, []])
    // The drain's server dies too: its evacuation is the incident's now, and waits for nobody.
    world.kill('s1')
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
    assert.deepEqual(
      world.migrations
        .filter(({ fromServerId }) => fromServerId === 's1')
        .map(({ reason, status }) => [reason, status])
        .slice(0, 1),
      [['maintenance', 'cancelled']],
    )
  },
)
