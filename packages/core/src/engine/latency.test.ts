import { expect, test } from 'vitest'
import { createFleet, type Fleet } from '../testing/index.ts'
import type { Plan } from '../vocabulary.ts'

const rows = ['s1', 's2', 's3'].map((id) => ({ id, host: `10.0.0.${id.slice(1)}`, capacity: 100 }))
const users = { s1: [...'ab'].map((id) => ({ id, region: 'br' })).concat([{ id: 'c', region: 'jp' }]) }

/** A world in which two vantages of br and one of jp have looked at each server a few times. */
async function watched(vantages: Record<string, { region?: string }>, rtt: Record<string, Record<string, number>>): Promise<Fleet> {
  const fleet = await createFleet({ servers: rows, connections: users, policy: { mode: 'observe', detect: { vantages } } })
  for (let round = 0; round < 4; round++) {
    await fleet.advance(2000)
    const samples = Object.entries(rtt).flatMap(([vantage, seen]) =>
      Object.entries(seen).map(([serverId, ms]) => ({
        serverId,
        vantage,
        prober: 'icmp',
        sentAt: fleet.clock.now(),
        sent: 1,
        received: 1,
        rttMs: [ms],
      })),
    )
    await fleet.pintail.observe(samples)
  }
  return fleet
}

const notes = (plan: Plan, region: string) =>
  Object.fromEntries(
    plan.cohorts
      .filter((cohort) => cohort.region === region)
      .flatMap(({ candidates }) => candidates)
      .flatMap((one) => ('score' in one ? [[one.serverId, one.contributions.find(({ factor }) => factor === 'latency')?.note]] : [])),
  )

test('latency is what the vantages of the user’s own region have measured, the middle one of several', async () => {
  const seen = { 'gru-1': { s1: 9, s2: 10, s3: 190 }, 'gru-2': { s1: 9, s2: 30, s3: 195 }, 'tyo-1': { s1: 250, s2: 260, s3: 15 } }
  await using fleet = disposable(await watched({ 'gru-1': { region: 'br' }, 'gru-2': { region: 'br' }, 'tyo-1': { region: 'jp' } }, seen))
  const plan = await fleet.pintail.plan({ drain: ['s1'] })
  expect(notes(plan, 'br')).toEqual({ s2: '10 ms from the vantages of region br', s3: '190 ms from the vantages of region br' })
  expect(notes(plan, 'jp')).toEqual({ s2: '260 ms from the vantages of region jp', s3: '15 ms from the vantages of region jp' })
  const where = Object.fromEntries(plan.placements.flatMap(({ toServerId, connections }) => connections.map(({ id }) => [id, toServerId])))
  expect(where).toEqual({ a: 's2', b: 's2', c: 's3' })
})

test('without a vantage of his region it is what the prober of no region has measured, and says so', async () => {
  await using fleet = disposable(await watched({ 'tyo-1': { region: 'jp' } }, { 'tyo-1': { s1: 250, s2: 260, s3: 15 } }))
  const plan = await fleet.pintail.plan({ drain: ['s1'] })
  expect(notes(plan, 'br')).toEqual({
    s2: '20 ms from the prober (of no region)',
    s3: '20 ms from the prober (of no region)',
  })
  expect(notes(plan, 'jp')).toEqual({ s2: '260 ms from the vantages of region jp', s3: '15 ms from the vantages of region jp' })
})

test('the engine’s own vantage speaks for its own region only, where it has one', async () => {
  const fleet = await createFleet({
    servers: rows,
    connections: users,
    replace: () => ({ vantage: { name: 'gru-0', region: 'br' } }),
    policy: { mode: 'observe' },
  })
  await using _ = disposable(fleet)
  await fleet.advance(15_000)
  const plan = await fleet.pintail.plan({ drain: ['s1'] })
  expect(notes(plan, 'br').s2).toBe('20 ms from the vantages of region br')
  expect(notes(plan, 'jp').s2).toBe('not measured, no distance known: neutral')
})

const disposable = (fleet: Fleet) => ({ ...fleet, [Symbol.asyncDispose]: () => fleet.stop() })
