import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'without rates the expected end follows from the pace of the panel',
  { servers: 2, users: 18, panel: { latencyMs: 8000 }, policy: { mode: 'auto', migration: { concurrency: 1 } } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const end = async () => (await world.answer(world.engine.migrations.get(world.migration().id))).expectedEndAt
    // Too little was seen of it yet.
    assert.equal(await end(), null)
    await world.until('nine have moved', () => world.moved >= 9)
    const expected = ((await end()) ?? 0) - world.engine.status().at
    const at = world.now
    await world.until('all have moved', () => world.moved === 18)
    const took = world.now - at
    assert.ok(expected > took / 2 && expected < took * 2, `${expected} ms were expected, it took ${took} ms`)
  },
)
