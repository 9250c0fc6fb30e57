import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a scaling that begins in the middle of a drain stops it there and lets it go on when it is over',
  { servers: 2, users: 16, guards: true, panel: { latencyMs: 1000 }, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    world.when('transferring', () => world.forbid('scaling'))
    await world.answer(world.engine.drain('s1'))
    await world.minutes(2)
    const left = world.on('s1').length
    assert.ok(left > 0 && left < 16, `${left} are left`)
    assert.deepEqual([world.migration().status, world.reserved], ['transferring', left])
    await world.minutes(5)
    assert.equal(world.on('s1').length, left)
    world.allow('scaling')
    await world.minutes(1)
    assert.deepEqual([world.on('s1'), world.migration().status], [[], 'completed'])
  },
)
