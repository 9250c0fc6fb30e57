import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the expected end follows from the pace that is seen and comes true',
  {
    servers: 2,
    users: 18,
    policy: { mode: 'auto', migration: { rates: { overall: { perSecond: 0.5, burst: 1 } } } },
  },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.until('five have moved', () => world.moved >= 5)
    const { expectedEndAt, progress } = await world.answer(world.engine.migrations.get(world.migration().id))
    const [evacuation] = await world.answer(world.engine.evacuations.list())
    assert.ok(progress > 0 && progress < 100)
    assert.equal(evacuation?.expectedEndAt === null, false)
    assert.ok(Math.abs((evacuation?.expectedEndAt ?? 0) - (expectedEndAt ?? 0)) < 3000)
    await world.minutes(2)
    const off = (world.migration().completedAt ?? 0) - (expectedEndAt ?? 0)
    assert.ok(Math.abs(off) < 5000, `it was wrong by ${off} ms`)
  },
)
