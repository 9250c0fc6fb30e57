import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'while a pause holds there is no expected end',
  {
    servers: 2,
    users: 18,
    policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 0.5, burst: 1 } } } },
  },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.until('five have moved', () => world.moved >= 5)
    const end = async () => (await world.answer(world.engine.migrations.get(world.migration().id))).expectedEndAt
    assert.ok((await end()) !== null)
    await world.answer(world.engine.pause())
    await world.seconds(2)
    assert.equal(await end(), null)
    await world.minutes(10)
    await world.answer(world.engine.resume())
    await world.seconds(15)
    // The pause is not taken for a slow panel.
    const left = ((await end()) ?? 0) - world.engine.status().at
    assert.ok(left > 0 && left < 60_000, `${left} ms are left`)
    await world.minutes(2)
    assert.deepEqual(world.on('s1'), [])
  },
)
