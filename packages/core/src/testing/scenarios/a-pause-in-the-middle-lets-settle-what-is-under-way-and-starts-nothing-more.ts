import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a pause in the middle lets settle what is under way and starts nothing more',
  { servers: 2, users: 16, panel: { latencyMs: 2000 }, policy: { mode: 'auto', migration: { concurrency: 2 } } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.until('three have moved', () => world.moved >= 3)
    await world.answer(world.engine.pause({ migrationId: world.migration().id }))
    const asked = world.keys.length
    await world.minutes(10)
    assert.deepEqual([world.keys.length, world.on('s2').length, world.reserved], [asked, asked, 16 - asked])
    assert.equal((await world.answer(world.engine.migrations.get(world.migration().id))).status, 'transferring')
    await world.answer(world.engine.resume({ migrationId: world.migration().id }))
    await world.minutes(1)
    assert.deepEqual([world.on('s1'), world.moved], [[], 16])
  },
)
