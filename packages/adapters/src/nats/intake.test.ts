import { expect, test } from 'vitest'
import { noted } from '../../test/vantages.ts'
import { encodeBatch } from './batch.ts'
import { Intake } from './intake.ts'

/** A vantage whose clock is off, a broker whose clock is off, and an intake. */
function world({ skewMs = 0, brokerMs = 0, maxSamplesPerSecond = 50_000 } = {}) {
  let now = 1_763_800_000_000
  const logger = noted()
  const clock = { now: () => now, setTimeout: () => ({ cancel() {} }) }
  const intake = new Intake({ maxSamplesPerSecond, clock, logger })
  const message = (seq: number, { run = 'run-12345678', agoMs = 0, vantage = 'teh-1', servers = ['s1'] } = {}) => {
    const at = now + skewMs
    const lines = servers.map((id) => `${id} 0 ${agoMs * 1000} 1 1 20000`)
    return Buffer.from(encodeBatch(vantage, run, { seq, base: at, probers: ['icmp'], lines }, at, 0))
  }
  return {
    intake,
    logger,
    message,
    now: () => now,
    pass: (ms: number) => {
      now += ms
    },
    /** Sent, stored and read at once, or after a while. */
    take: (data: Uint8Array, { name = 'teh-1' as string | null, underWayMs = 0, storedMs = 0 } = {}) => {
      now += underWayMs
      const storedAt = now + brokerMs
      now += storedMs
      return intake.take(name, data, storedAt)
    },
    refused: (name = 'teh-1') => intake.report().vantages.find(({ vantage }) => vantage === name)?.refused,
  }
}

test('whatever the clocks of the vantage and of the broker say, a sample is as old as it is', () => {
  for (const skewMs of [0, 300_000, -300_000])
    for (const brokerMs of [0, 240_000, -240_000]) {
      const { take, message, pass, now, intake } = world({ skewMs, brokerMs })
      for (let seq = 1; seq <= 50; seq++) {
        const [sample] = take(message(seq, { agoMs: 700 }), { underWayMs: seq % 7, storedMs: seq % 5 })
        const ageMs = now() - (sample?.sentAt ?? 0)
        expect(ageMs).toBeGreaterThan(690)
        expect(ageMs).toBeLessThan(720)
        pass(1000)
      }
      expect(intake.report().vantages[0]?.skewMs).toBeCloseTo(-skewMs, -2)
    }
})

test('a message that was held up is not taken for news', () => {
  const { take, message, pass, now } = world({ skewMs: 180_000 })
  for (let seq = 1; seq <= 30; seq++) {
    take(message(seq))
    pass(1000)
  }
  // Its line was cut for half a minute, and what it had sent then comes first.
  const [late] = take(message(31), { underWayMs: 30_000 })
  expect(now() - (late?.sentAt ?? 0)).toBeCloseTo(30_000, -1)
  // As well when the broker had it and we did not read.
  const [unread] = take(message(32), { storedMs: 30_000 })
  expect(now() - (unread?.sentAt ?? 0)).toBeCloseTo(30_000, -1)
})

test('a clock that is set anew is followed within a minute', () => {
  const { intake, pass, now } = world()
  for (const [skewMs, from] of [
    [0, 1],
    [90_000, 41],
    [-90_000, 161],
  ] as const)
    for (let seq = from; seq < from + 40 + (from > 1 ? 80 : 0); seq++) {
      const at = now() + skewMs
      const data = Buffer.from(encodeBatch('teh-1', 'run-12345678', { seq, base: at, probers: ['icmp'], lines: ['s1 0 0 1 1 20'] }, at, 0))
      const [sample] = intake.take('teh-1', data, now())
      // Too old for a while, never from the future.
      expect(sample?.sentAt ?? 0).toBeLessThanOrEqual(now() + 1)
      if (seq > from + 70) expect(now() - (sample?.sentAt ?? 0)).toBeLessThan(10)
      pass(1000)
    }
})

test('each message counts once, in whatever order they come', () => {
  const { take, message, refused } = world()
  const messages = Array.from({ length: 600 }, (_, index) => message(index + 1))
  const order = [1, 0, 2, 5, 4, 3]
  for (const index of order) expect(take(messages[index] as Uint8Array)).toHaveLength(1)
  for (const index of order) expect(take(messages[index] as Uint8Array)).toHaveLength(0)
  expect(refused()).toEqual({ doubled: 6 })
  for (const one of messages.slice(6)) expect(take(one)).toHaveLength(1)
  expect(take(messages[0] as Uint8Array)).toHaveLength(0)
  expect(refused()).toEqual({ doubled: 6, replayed: 1 })
})

test('a vantage speaks in its own name only', () => {
  const { take, message, refused, intake } = world()
  expect(take(message(1, { vantage: 'fra-1' }))).toEqual([])
  expect(refused()).toEqual({ forged: 1 })
  expect(refused('fra-1')).toBeUndefined()
  expect(take(message(1), { name: null })).toEqual([])
  expect(intake.report().nobody).toBe(1)
})

test('a run whose clock is off by hours is not believed: it may be an old message that somebody sends again', () => {
  const { take, message, pass, refused } = world()
  const old = message(1, { run: 'run-of-yesterday' })
  pass(7_200_000)
  expect(take(message(1))).toHaveLength(1)
  expect(take(old)).toEqual([])
  expect(refused()).toEqual({ clock: 1 })
})

test('a backlog that is too old is not read', () => {
  const { take, message, refused } = world()
  take(message(1))
  expect(take(message(2), { storedMs: 121_000 })).toEqual([])
  expect(refused()).toEqual({ late: 1 })
})

test('a vantage that sends too much is heard up to its bound, and the others as before', () => {
  const { take, message, pass, refused, intake } = world({ maxSamplesPerSecond: 1000 })
  const many = Array.from({ length: 1000 }, (_, index) => `s${index}`)
  const ofFlood = () => intake.report().vantages.find(({ vantage }) => vantage === 'teh-1')?.samples ?? 0
  for (let seq = 1; seq <= 100; seq++) {
    take(message(seq, { servers: many }))
    expect(take(message(seq, { vantage: 'fra-1' }), { name: 'fra-1' })).toHaveLength(1)
    pass(100)
  }
  // The first was as it came; from then on ten seconds' worth, and two more at once.
  expect(ofFlood()).toBeLessThanOrEqual(13_100)
  expect(ofFlood()).toBeGreaterThan(9000)
  expect(refused()?.flood).toBeGreaterThan(50)
  expect(refused('fra-1')).toEqual({})
})

test('each trouble of a vantage is told once, and neither vantages nor their runs pile up', () => {
  const { take, message, logger, intake } = world()
  for (let index = 0; index < 1000; index++) {
    take(Buffer.from('no'))
    take(message(1, { run: `run-${index}-12345` }))
  }
  expect(logger.lines.map(({ message }) => message)).toEqual(['samples of a vantage are not taken (malformed): it is no JSON'])
  for (let index = 0; index < 5000; index++) take(Buffer.from('no'), { name: `v${index}` })
  expect(intake.report().vantages).toHaveLength(256)
  expect(logger.lines.length).toBeLessThanOrEqual(1000)
})
