import { expect, test } from 'vitest'
import { fakeClock } from './clock.ts'
import { seededRandom } from './random.ts'

test('time stands still until it is told to pass', async () => {
  const clock = fakeClock(1000)
  await clock.settle()
  expect(clock.now()).toBe(1000)
  await clock.advance(250)
  expect(clock.now()).toBe(1250)
  expect(fakeClock().now()).toBe(Date.UTC(2026, 0, 1))
})

test('every timer fires at its own time, in the order of time, ties in the order of setting', async () => {
  const clock = fakeClock(0)
  const fired: string[] = []
  const set = (name: string, delayMs: number) => clock.setTimeout(() => fired.push(`${name}@${clock.now()}`), delayMs)
  set('c', 30)
  set('a', 10)
  set('b1', 20)
  set('b2', 20)
  set('late', 31)
  await clock.advance(30)
  expect(fired).toEqual(['a@10', 'b1@20', 'b2@20', 'c@30'])
  expect(clock.pending).toBe(1)
  await clock.advance(1)
  expect(fired.at(-1)).toBe('late@31')
  expect(clock.pending).toBe(0)
})

test('thousands of timers in any order, some cancelled, fire in the order of time', async () => {
  const clock = fakeClock(0)
  const random = seededRandom(11)
  const fired: number[] = []
  const expected: number[] = []
  for (let count = 0; count < 2000; count++) {
    const at = Math.floor(random() * 300)
    const timer = clock.setTimeout(() => fired.push(clock.now()), at)
    if (random() < 0.3) timer.cancel()
    else expected.push(at)
  }
  expect(clock.pending).toBe(expected.length)
  await clock.advance(300)
  expect(fired).toEqual(expected.sort((a, b) => a - b))
  expect(clock.pending).toBe(0)
})

test('a timer that is set by a timer fires in the same passing of time, at its own time', async () => {
  const clock = fakeClock(0)
  const fired: number[] = []
  const again = () => {
    fired.push(clock.now())
    if (fired.length < 4) clock.setTimeout(again, 10)
  }
  clock.setTimeout(again, 10)
  await clock.advance(40)
  expect(fired).toEqual([10, 20, 30, 40])
})

test('all that a timer sets off is done before the next one fires', async () => {
  const clock = fakeClock(0)
  const seen: string[] = []
  clock.setTimeout(async () => {
    for (let count = 0; count < 50; count++) await null
    seen.push('first is done')
  }, 10)
  clock.setTimeout(() => seen.push('second'), 10)
  await clock.advance(10)
  expect(seen).toEqual(['first is done', 'second'])
})

test('a cancelled timer never fires; cancelling twice, or after it has fired, is harmless', async () => {
  const clock = fakeClock(0)
  const fired: string[] = []
  const never = clock.setTimeout(() => fired.push('never'), 10)
  const done = clock.setTimeout(() => fired.push('done'), 10)
  never.cancel()
  never.cancel()
  expect(clock.pending).toBe(1)
  await clock.advance(10)
  done.cancel()
  clock.setTimeout(() => fired.push('another'), 10)
  expect(clock.pending).toBe(1)
  await clock.advance(10)
  expect(fired).toEqual(['done', 'another'])
})

test('a timer may cancel another one of the same moment', async () => {
  const clock = fakeClock(0)
  const fired: string[] = []
  clock.setTimeout(() => other.cancel(), 10)
  const other = clock.setTimeout(() => fired.push('other'), 10)
  await clock.advance(10)
  expect(fired).toEqual([])
  expect(clock.pending).toBe(0)
})

test('a delay below zero, or that is no number, is none', async () => {
  const clock = fakeClock(0)
  const fired: number[] = []
  for (const delayMs of [-5, Number.NaN, Number.NEGATIVE_INFINITY]) clock.setTimeout(() => fired.push(clock.now()), delayMs)
  clock.setTimeout(() => fired.push(clock.now()), 5)
  await clock.advance(5)
  expect(fired).toEqual([0, 0, 0, 5])
})

test('what is deferred runs before time passes, and so does what it sets off', async () => {
  const clock = fakeClock(0)
  const seen: string[] = []
  clock.setTimeout(() => {
    seen.push('timer')
    clock.defer?.(async () => {
      await null
      seen.push('deferred')
      clock.defer?.(() => seen.push('deferred by it'))
    })
  }, 10)
  clock.setTimeout(() => seen.push('next timer'), 10)
  await clock.advance(10)
  expect(seen).toEqual(['timer', 'deferred', 'deferred by it', 'next timer'])
})

test('a random source gives the same numbers for the same seed, and others for another', () => {
  const numbers = (seed: number) => {
    const random = seededRandom(seed)
    return Array.from({ length: 1000 }, random)
  }
  expect(numbers(1)).toEqual(numbers(1))
  expect(numbers(1)).not.toEqual(numbers(2))
  for (const number of numbers(3)) expect(number >= 0 && number < 1).toBe(true)
  const mean = numbers(4).reduce((sum, number) => sum + number, 0) / 1000
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.05)
})
