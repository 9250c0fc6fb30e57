import { expect, test } from 'vitest'
import { createFleet } from '../testing/index.ts'
import type { PolicyInput } from '../vocabulary.ts'

/** What a plan expects of a drain, and how long it then takes. */
async function drained(policy: NonNullable<PolicyInput['migration']>, callMs: number, warm: boolean) {
  const fleet = await createFleet({
    servers: 5,
    connections: 60,
    capacity: 200,
    policy: { mode: 'auto', migration: policy },
    replace: ({ mover, clock }) => ({
      mover: { ...mover, move: (move, ctx) => new Promise((resolve) => clock.setTimeout(() => resolve(mover.move(move, ctx)), callMs)) },
    }),
  })
  await fleet.advance(60_000)
  if (warm) {
    await fleet.pintail.drain('s5')
    await fleet.advance(120_000)
  }
  const plan = await fleet.pintail.plan({ drain: ['s1'] })
  const begunAt = fleet.clock.now()
  await fleet.pintail.execute(plan)
  await fleet.advance(600_000)
  const moved = fleet.events.filter(({ type, at }) => type === 'connection.moved' && at >= begunAt)
  await fleet.stop()
  expect(moved).toHaveLength(plan.placements.reduce((sum, { connections }) => sum + connections.length, 0))
  return { schedule: plan.schedule, tookMs: Math.max(...moved.map(({ at }) => at)) - begunAt }
}

test('a drain under rates takes as long as its plan has said', async () => {
  const rates = { overall: { perSecond: 2, burst: 10 }, perTarget: { perSecond: 0.4, burst: 2 } }
  const { schedule, tookMs } = await drained({ rates }, 50, false)
  expect(schedule.callMs).toBeNull()
  expect(schedule.waves.length).toBeGreaterThan(5)
  expect(Math.abs(tookMs - (schedule.expectedMs as number))).toBeLessThan(3000)
  expect(tookMs).toBeGreaterThan(25_000)
})

test('without rates it takes as long as the pace of the moves before lets expect', async () => {
  const { schedule, tookMs } = await drained({ concurrency: 4, concurrencyPerTarget: 2 }, 1000, true)
  expect(schedule.callMs).toBeCloseTo(1000, -1)
  expect(Math.abs(tookMs - (schedule.expectedMs as number))).toBeLessThan(0.2 * tookMs)
})

test('before anything was moved, and without rates, no time is promised', async () => {
  const { schedule } = await drained({}, 10, false)
  expect(schedule).toMatchObject({ expectedMs: null, callMs: null, waves: [{ startsAfterMs: 0 }] })
})
