import type { Pintail } from '@pintail/core'
import { fakeClock } from '@pintail/core/testing'
import { afterEach, expect, test } from 'vitest'
import { until } from '../../test/until.ts'
import { vpnDuck } from './index.ts'
import { createDatabaseService } from './testing/index.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function world() {
  const clock = fakeClock()
  // Each round is planned when the one before it is over.
  let planned = 0
  const setTimeout = (callback: () => void, delayMs: number) => {
    if (delayMs === 60_000) planned++
    return clock.setTimeout(callback, delayMs)
  }
  const noting = { ...clock, setTimeout }
  const service = createDatabaseService({ dialect: 'v1' })
  const lines: string[] = []
  const line = (_: object, text: string): void => void lines.push(text)
  const logger = { debug: () => {}, info: line, warn: line, error: line }
  const duck = vpnDuck({ databaseServiceUrl: await service.listen(), dialect: 'v1', clock: noting, logger, tries: 1 })
  ends.push(
    () => service.close(),
    () => duck.close(),
  )
  const sample = { vantage: 'here', prober: 'icmp', sent: 4, received: 3, rttMs: [10, 14, 12], failure: null }
  const report = (serverId: string, verdict: string, sentAt: number | null) => {
    return { serverId, verdict: { verdict }, lastSample: sentAt === null ? null : { ...sample, serverId, sentAt } }
  }
  const world = { servers: [report('1', 'up', 1), report('2', 'down', 1), report('3', 'up', null)] }
  const pintail = { status: () => world } as unknown as Pick<Pintail, 'status'>
  const round = async (): Promise<void> => {
    const before = planned
    await clock.advance(60_000)
    await until('the round is over', () => planned > before)
  }
  return {
    clock,
    service,
    duck,
    pintail,
    lines,
    round,
    report,
    now: (servers: typeof world.servers) => void Object.assign(world, { servers }),
  }
}

test('each new sample of a server that is up is sent once, as mean, loss and jitter', async () => {
  const { service, duck, pintail, round, report, now } = await world()
  const forwarding = duck.forwardMetrics(pintail)
  await round()
  await round()
  expect(service.tables.metrics).toEqual([{ server: 1, latency: 12, packetLoss: 25, jitter: 3 }])
  now([report('1', 'up', 2), report('2', 'up', 2)])
  await round()
  expect(service.tables.metrics.map(({ server }) => server).sort()).toEqual([1, 1, 2])
  forwarding[Symbol.dispose]()
})

test('a disposed or closed forwarding leaves no timer', async () => {
  const { clock, duck, pintail } = await world()
  const forwarding = duck.forwardMetrics(pintail)
  duck.forwardMetrics(pintail, { intervalMs: 1000 })
  expect(clock.pending).toBe(2)
  forwarding[Symbol.dispose]()
  expect(clock.pending).toBe(1)
  await duck.close()
  expect(clock.pending).toBe(0)
})

test('figures that are not taken are one warning, and one line when they are taken again', async () => {
  const { service, duck, pintail, lines, round, report, now } = await world()
  using _ = duck.forwardMetrics(pintail)
  service.faults.set('error')
  for (let sentAt = 1; sentAt <= 3; sentAt++) {
    now([report('1', 'up', sentAt)])
    await round()
  }
  expect(lines).toEqual(['VPN Duck does not take the figures of servers'])
  service.faults.clear()
  now([report('1', 'up', 9)])
  await round()
  expect(lines.slice(1)).toEqual(['VPN Duck takes the figures of servers again'])
})

test.for([0, 999, 1.5e9, Number.NaN])('an interval of %d ms is refused', async (intervalMs) => {
  const { duck, pintail } = await world()
  expect(() => duck.forwardMetrics(pintail, { intervalMs })).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
})
