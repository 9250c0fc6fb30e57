import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'cancel all stops everything that is under way and says what it has stopped',
  {
    servers: 8,
    users: { s1: 12, s2: 12, s3: 12 },
    capacity: 40,
    panel: { latencyMs: 4000 },
    policy: { mode: 'auto', migration: { concurrency: 2 } },
  },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.answer(world.engine.drain('s2'))
    world.kill('s3')
    await world.until('all three are being left', () => world.evacuations.length === 3)
    const stopped = await world.answer(world.engine.evacuations.cancelAll())
    assert.deepEqual(stopped.map(({ id }) => id).toSorted(), world.evacuations.map(({ id }) => id).toSorted())
    const asked = world.keys.length
    await world.minutes(10)
    assert.deepEqual([world.keys.length, world.reserved], [asked, 0])
    assert.deepEqual(new Set(world.evacuations.map(({ status }) => status)), new Set(['cancelled']))
    assert.deepEqual(await world.answer(world.engine.evacuations.cancelAll()), [])
  },
)
