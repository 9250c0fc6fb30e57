import { expect, test } from 'vitest'
import type { Clock, ObservationSource, SampleInput } from '../ports.ts'
import { createFleet, type Fleet } from '../testing/index.ts'

const policy = { mode: 'auto', detect: { vantages: { a: { region: 'ir' }, b: { region: 'ir' } } } } as const
const sample = (fleet: Fleet, more: Partial<SampleInput> = {}): SampleInput => ({
  serverId: 's1',
  vantage: 'a',
  prober: 'icmp',
  sentAt: fleet.clock.now(),
  sent: 1,
  received: 1,
  rttMs: [20],
  ...more,
})
const warnings = (fleet: Fleet) => fleet.events.flatMap(({ type, data }) => (type === 'warning' ? [data.message as string] : []))

test('a sample that cannot be believed changes nothing, is counted, and is told once', async () => {
  const fleet = await createFleet({ servers: 4, policy })
  await fleet.advance(10_000)
  const now = fleet.clock.now()
  const bad: Record<string, SampleInput[]> = {
    impossible: [
      sample(fleet, { sentAt: Number.NaN }),
      sample(fleet, { sentAt: -1 }),
      sample(fleet, { received: 2 }),
      sample(fleet, { sent: 0, received: 0 }),
      sample(fleet, { received: 1, rttMs: [1, 2] }),
      sample(fleet, { received: 1, rttMs: [-1] }),
      null as never,
      'nonsense' as never,
    ],
    unknown_vantage: [sample(fleet, { vantage: 'c' }), sample(fleet, { vantage: '__proto__' })],
    unknown_server: [
      sample(fleet, { serverId: 's9' }),
      sample(fleet, { serverId: 'canary:' }),
      sample(fleet, { serverId: 's9', prober: 'passive:x' }),
    ],
    own_vantage: [sample(fleet, { vantage: 'local', received: 0, rttMs: [] })],
    in_the_future: [sample(fleet, { sentAt: now + 5001 })],
    too_late: [sample(fleet, { sentAt: now - 120_001 })],
  }
  const before = JSON.stringify(fleet.pintail.status().servers)
  for (const samples of Object.values(bad)) for (let times = 0; times < 3; times++) await fleet.pintail.observe(samples)
  expect(fleet.pintail.status().observations).toEqual({
    taken: 0,
    refused: Object.fromEntries(Object.entries(bad).map(([why, samples]) => [why, 3 * samples.length])),
  })
  expect(JSON.stringify(fleet.pintail.status().servers)).toBe(before)
  for (const why of Object.keys(bad))
    expect(
      warnings(fleet).filter((message) => message.includes(`(${why})`)),
      why,
    ).toHaveLength(1)
  await expect(fleet.pintail.observe('no list' as never)).rejects.toMatchObject({ code: 'invalid_argument' })
  await expect(fleet.pintail.observe(Array(10_001).fill(sample(fleet)))).rejects.toMatchObject({ code: 'invalid_argument' })
  await fleet.stop()
})

test('samples that come twice, late or out of order count once', async () => {
  const fleet = await createFleet({ servers: 4, policy })
  await fleet.advance(10_000)
  const first = sample(fleet)
  await fleet.pintail.observe([first, first, { ...first, sentAt: first.sentAt - 1000, received: 0, rttMs: [] }])
  expect(fleet.pintail.status().observations).toEqual({ taken: 1, refused: { not_newer: 2 } })
  expect(fleet.pintail.status().vantages[1]).toMatchObject({ name: 'a', region: 'ir', samples: 1 })
  expect(warnings(fleet)).toEqual([])
  await fleet.stop()
})

test('a source that throws or ends is asked again, with growing pauses, and told once', async () => {
  const asked: number[] = []
  const source = (clock: Clock): ObservationSource => ({
    samples: () => {
      asked.push(clock.now())
      if (asked.length % 3 === 0) throw new Error('no broker')
      const next = async () => {
        if (asked.length % 3 === 1) throw new Error('the broker has gone')
        return { done: true, value: undefined } as const
      }
      return { [Symbol.asyncIterator]: () => ({ next }) }
    },
  })
  const fleet = await createFleet({ servers: 4, policy, replace: ({ clock }) => ({ observations: source(clock) }) })
  await fleet.advance(600_000)
  const pauses = asked.slice(1).map((at, index) => at - (asked[index] as number))
  expect(pauses[0]).toBeLessThanOrEqual(1000)
  expect(Math.max(...pauses)).toBeLessThanOrEqual(60_000)
  expect(Math.min(...pauses.slice(6))).toBeGreaterThanOrEqual(30_000)
  expect(warnings(fleet).filter((message) => message.startsWith('observations:'))).toHaveLength(1)
  await fleet.stop()
})

test('a source that hangs, or never ends, holds up no stop and nothing else', async () => {
  let closed = 0
  const hanging: ObservationSource = {
    samples: () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => {
          closed++
          throw new Error('it does not even close')
        },
      }),
    }),
  }
  const endless: ObservationSource = {
    async *samples({ signal }) {
      while (!signal.aborted) yield null as never
    },
  }
  const fleet = await createFleet({ servers: 4, policy, replace: () => ({ observations: hanging }) })
  await fleet.advance(30_000)
  await fleet.stop()
  expect(closed).toBe(1)
  expect(fleet.pintail.status().state).toBe('stopped')
  // Real time here: an endless stream must leave the event loop its turns.
  const { createPintail, memoryMover, memoryRegistry } = await import('../index.ts')
  const registry = memoryRegistry({ servers: [{ id: 's1', host: '127.0.0.1', capacity: 1 }], connections: {} })
  const probers = [{ name: 'none', probe: async () => ({ sent: 1, received: 1, rttMs: [1] }) }]
  const pintail = createPintail({ registry, mover: memoryMover(registry), probers, observations: endless, policy })
  await pintail.start()
  await expect.poll(() => pintail.status().observations.refused.impossible).toBeGreaterThan(0)
  await pintail.stop()
})

test('a passive signal makes the own vantage look closely, and is never a verdict', async () => {
  const fleet = await createFleet({ servers: 4, policy })
  await fleet.advance(20_000)
  const verdicts = () =>
    fleet.events.flatMap(({ type, data }) =>
      type === 'server.verdict_changed' && data.serverId === 's1' && data.audience === null ? [data.verdict] : [],
    )
  const before = verdicts().length
  const fails = { received: 0, rttMs: [], vantage: 'local', prober: 'passive:handshakes' }
  for (let times = 0; times < 30; times++) {
    await fleet.pintail.observe([sample(fleet, fails)])
    await fleet.advance(1000)
  }
  // Looked at closely once, and seen to be well; what is said again within a minute starts nothing.
  expect(verdicts().slice(before)).toEqual(['suspect', 'up'])
  await fleet.advance(60_000)
  expect(fleet.events.some(({ type }) => type === 'incident.opened')).toBe(false)
  // A dead server is found without waiting for its turn.
  fleet.kill('s1')
  await fleet.pintail.observe([sample(fleet, fails)])
  await fleet.advance(1)
  expect(verdicts().at(-1)).toBe('suspect')
  await fleet.advance(9000)
  expect(verdicts().at(-1)).toBe('down')
  await fleet.stop()
})
