import { expect, test } from 'vitest'
import { fakeClock } from '../testing/clock.ts'
import { seededRandom } from '../testing/random.ts'
import { Wheel } from './wheel.ts'

interface Item {
  readonly name: string
  dueTick: number
}

function wheelOf(clock = fakeClock(0)) {
  const told: string[] = []
  const stop = new AbortController()
  let turns = 0
  const wheel = new Wheel<Item>(
    clock,
    stop.signal,
    ({ name }) => told.push(`${name} at ${clock.now()}`),
    () => turns++,
  )
  const item = (name: string): Item => ({ name, dueTick: -1 })
  return { clock, wheel, told, item, stop, turns: () => turns }
}

test('an item is due once, at the newest time said for it, within a tick', async () => {
  const { clock, wheel, told, item } = wheelOf()
  const [a, b, c] = [item('a'), item('b'), item('c')]
  wheel.schedule(a, 5000)
  wheel.schedule(b, 100)
  wheel.schedule(c, 30)
  wheel.schedule(a, 41)
  wheel.schedule(b, 7000)
  wheel.schedule(b, 100)
  wheel.remove(c)
  expect([wheel.remaining(a), wheel.remaining(c)]).toEqual([60, null])
  await clock.advance(20_000)
  expect(told).toEqual(['a at 60', 'b at 100'])
  expect(clock.pending).toBe(0)
})

test('what is due within one tick is told in one turn, in the order in which it was said', async () => {
  const { clock, wheel, told, item, turns } = wheelOf()
  for (let index = 0; index < 500; index++) wheel.schedule(item(`${index}`), 1 + (index % 20))
  await clock.advance(100)
  expect(told).toEqual(Array.from({ length: 500 }, (_, index) => `${index} at 20`))
  expect(turns()).toBe(1)
})

test('a common grain gathers items into fewer turns, each at most a grain late', async () => {
  const { clock, wheel, told, item, turns } = wheelOf()
  const random = seededRandom(1)
  for (let index = 0; index < 1000; index++) {
    const delay = Math.floor(random() * 10_000)
    wheel.schedule(item(`${delay}`), delay, 5)
  }
  await clock.advance(11_000)
  const late = told.map((line) => Number(line.split(' at ')[1]) - Number(line.split(' at ')[0]))
  expect([late.length, Math.min(...late) >= 0, Math.max(...late) <= 100]).toEqual([1000, true, true])
  expect(turns()).toBeLessThanOrEqual(101)
})

test('a clock that jumps by a day makes everything due at once, and no turn takes more than its share', async () => {
  let jump = 0
  const clock = fakeClock(0)
  const { wheel, told, item, turns } = wheelOf({ ...clock, now: () => clock.now() + jump, advance: clock.advance } as typeof clock)
  for (let index = 0; index < 10_500; index++) wheel.schedule(item(`${index}`), 10 + index)
  jump = 86_400_000
  await clock.advance(20)
  expect(told).toHaveLength(10_500)
  expect(turns()).toBe(11)
})

test('items that come and go leave nothing in slots that are far away', async () => {
  const { wheel, item, clock, told } = wheelOf()
  const stays = item('stays')
  wheel.schedule(stays, 50_000)
  // Each of these would stay for a day; the heap would show it by its time alone, so the count of places is bounded instead.
  for (let index = 0; index < 100_000; index++) {
    const short = item(`${index}`)
    wheel.schedule(short, 86_400_000 - index)
    wheel.remove(short)
  }
  expect(wheel.places).toBeLessThan(1100)
  await clock.advance(60_000)
  expect(told).toEqual(['stays at 50000'])
})

test('a stopped wheel has no timer left, and takes none', async () => {
  const { clock, wheel, item, stop } = wheelOf()
  wheel.schedule(item('a'), 100)
  stop.abort()
  wheel.stop()
  wheel.schedule(item('b'), 50)
  expect(clock.pending).toBe(0)
})

test('random schedules fire exactly as a sorted list would', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { clock, wheel, told, item } = wheelOf()
    const random = seededRandom(seed)
    const items = Array.from({ length: 50 }, (_, index) => item(`${index}`))
    const expected = new Map<string, number>()
    for (let step = 0; step < 300; step++) {
      const one = items[Math.floor(random() * items.length)] as Item
      if (random() < 0.1) {
        wheel.remove(one)
        expected.delete(one.name)
      } else {
        const delay = Math.floor(random() * 3000)
        wheel.schedule(one, delay)
        expected.set(one.name, Math.ceil(delay / 20) * 20)
      }
    }
    await clock.advance(4000)
    const got = told.map((line) => line.split(' at ')).map(([name, at]) => [name, Number(at)])
    expect(new Map(got as [string, number][])).toEqual(expected)
    expect(got.map(([, at]) => at)).toEqual(got.map(([, at]) => at).toSorted((a, b) => Number(a) - Number(b)))
  }
})
