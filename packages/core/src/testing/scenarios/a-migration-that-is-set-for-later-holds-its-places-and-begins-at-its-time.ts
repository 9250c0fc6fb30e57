import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a migration that is set for later holds its places and begins at its time',
  { servers: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const at = world.engine.status().at + 600_000
    const scheduled = await world.answer(world.engine.migrations.schedule(world.migration().id, { at }))
    assert.deepEqual([scheduled.status, scheduled.notBefore], ['scheduled', at])
    assert.deepEqual(
      world.told('migration.rescheduled').map(({ notBefore }) => notBefore),
      [at],
    )
    await world.minutes(9)
    assert.deepEqual([world.moved, world.reserved], [0, 4])
    await world.minutes(2)
    const { startedAt, status, notBefore } = world.migration()
    assert.ok(startedAt !== null && startedAt >= at && startedAt < at + 2000, `${startedAt} for ${at}`)
    assert.deepEqual([status, notBefore, world.on('s1')], ['completed', null, []])
  },
)
