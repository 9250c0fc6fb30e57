import type { SampleInput } from '@pintail/core'
import { expect, test } from 'vitest'
import { batchLimits, encodeBatch, type Packed } from './batch.ts'
import { Outbox } from './outbox.ts'

function world({ maxWaiting = 10_000 } = {}) {
  let now = 1_763_800_000_000
  let timers: { at: number; act: () => void }[] = []
  const clock = {
    now: () => now,
    setTimeout(act: () => void, ms: number) {
      const timer = { at: now + ms, act }
      timers.push(timer)
      return {
        cancel() {
          timers = timers.filter((one) => one !== timer)
        },
      }
    },
  }
  const state = { isOpen: true, fails: false }
  const stored: Packed[] = []
  const outbox = new Outbox({
    maxWaiting,
    inFlight: 8,
    clock,
    isOpen: () => state.isOpen,
    send: async (packed) => {
      if (state.fails) throw new Error('no broker')
      stored.push(packed)
    },
  })
  return {
    outbox,
    state,
    stored,
    timers: () => timers.length,
    add: (index: number, over: Partial<SampleInput> = {}) =>
      outbox.add({ serverId: `s${index}`, vantage: 'teh-1', prober: 'icmp', sentAt: now - 10, sent: 1, received: 1, rttMs: [20], ...over }),
    pass: async (ms: number) => {
      for (const until = now + ms; now < until; ) {
        const next = Math.min(until, ...timers.map(({ at }) => at))
        now = Math.max(now, next)
        const due = timers.filter(({ at }) => at <= now)
        timers = timers.filter((one) => !due.includes(one))
        for (const { act } of due) act()
        for (let turn = 0; turn < 20; turn++) await Promise.resolve()
      }
    },
  }
}

const ids = (stored: readonly Packed[]) => stored.flatMap(({ lines }) => lines.map((line) => line.split(' ')[0]))

test('good news wait for company a quarter of a second, bad news hardly at all', async () => {
  const { add, pass, stored } = world()
  for (let index = 0; index < 10; index++) add(index)
  await pass(240)
  expect(stored).toHaveLength(0)
  await pass(20)
  expect(stored.map(({ lines }) => lines.length)).toEqual([10])
  add(1)
  add(2, { received: 0, rttMs: [] })
  await pass(25)
  expect(stored.map(({ lines }) => lines.length)).toEqual([10, 2])
})

test('while the broker is away the newest samples are kept, and what is thrown away is counted', async () => {
  const { outbox, add, pass, state, stored } = world({ maxWaiting: 5000 })
  state.isOpen = false
  for (let index = 0; index < 50_000; index++) add(index)
  expect(outbox.waiting).toBeLessThanOrEqual(5000)
  expect(outbox.waiting + outbox.lost).toBe(50_000)
  state.isOpen = true
  await pass(1000)
  expect(outbox.waiting).toBe(0)
  expect(outbox.sent + outbox.lost).toBe(50_000)
  expect(ids(stored)).toEqual(Array.from({ length: outbox.sent }, (_, index) => `s${50_000 - outbox.sent + index}`))
})

test('what could not be delivered is sent again under its number, and is dropped when it has become too old', async () => {
  const { outbox, add, pass, state, stored } = world()
  state.fails = true
  for (let index = 0; index < 30; index++) {
    add(index)
    await pass(1000)
  }
  expect(stored).toHaveLength(0)
  state.fails = false
  await pass(10_000)
  expect(stored.map(({ seq }) => seq).sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1))
  state.fails = true
  for (let index = 0; index < 120; index++) {
    add(index)
    await pass(1000)
  }
  expect(outbox.lost).toBeGreaterThan(50)
  expect(outbox.waiting).toBeLessThan(70)
})

test('no message is longer than a message may be, nor names more than it may', async () => {
  const { add, pass, stored, outbox } = world({ maxWaiting: 1_000_000 })
  const failure = { kind: 'no_reply', layer: 'ü'.repeat(100), detail: '☃'.repeat(300) } as const
  for (let index = 0; index < 3000; index++)
    add(index, { serverId: `${index}-${'ж'.repeat(190)}`, prober: `p${index % 40}`, received: 0, rttMs: [], failure })
  await pass(5000)
  expect(outbox.sent).toBe(3000)
  for (const packed of stored) {
    expect(packed.probers.length).toBeLessThanOrEqual(batchLimits.probers)
    expect(packed.lines.length).toBeLessThanOrEqual(batchLimits.samples)
    expect(Buffer.byteLength(encodeBatch('v'.repeat(100), 'r'.repeat(64), packed, 1e15, 1e15))).toBeLessThanOrEqual(batchLimits.bytes)
  }
})

test('a closed one has handed in what it had, and leaves no timer', async () => {
  const { outbox, add, timers, stored, pass, state } = world()
  add(1)
  await outbox.close(1000)
  expect(ids(stored)).toEqual(['s1'])
  add(2)
  expect([timers(), outbox.waiting, outbox.lost]).toEqual([0, 0, 0])
  const other = world()
  other.state.fails = true
  other.add(1)
  const closed = other.outbox.close(1000)
  await other.pass(1500)
  await closed
  expect([other.timers(), other.outbox.waiting, other.outbox.lost]).toEqual([0, 0, 1])
  expect(state.fails).toBe(false)
  await pass(1000)
})
