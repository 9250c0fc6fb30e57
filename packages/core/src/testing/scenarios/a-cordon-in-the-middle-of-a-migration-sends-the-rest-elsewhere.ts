import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a cordon in the middle of a migration sends the rest elsewhere',
  { servers: 3, users: 16, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.answer(world.engine.cordon('s2'))
    const there = world.on('s2').length
    assert.ok(there > 0 && there < 8, `${there} had moved before the cordon`)
    await world.minutes(2)
    assert.deepEqual([world.on('s1'), world.on('s2').length, world.on('s3').length], [[], there, 16 - there])
    assert.deepEqual(
      world.migrations.filter(({ status }) => status === 'failed'),
      [],
    )
  },
)
