import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { paceOf } from './pace.ts'

const never = new AbortController().signal
let keys = 0
const newLane = () => {
  keys += 1
  return paceOf(`key ${keys}`).lane('server')
}

/** When each of so many left that all wanted to at once. */
async function leaving(count: number, lane = newLane()): Promise<{ lane: typeof lane; times: number[]; done: Promise<unknown> }> {
  const times: number[] = []
  const done = Promise.all(
    Array.from({ length: count }, async () => {
      const left = await lane.turn(never)
      times.push(performance.now())
      left?.()
    }),
  )
  return { lane, times, done }
}

const gaps = (times: readonly number[]) => times.slice(1).map((at, index) => at - (times[index] ?? 0))

test('those who want to leave at once leave one after another, also after the event loop was blocked', async () => {
  const { times, done } = await leaving(6)
  await sleep(10)
  const blockedUntil = performance.now() + 200
  while (performance.now() < blockedUntil);
  await done
  expect(times).toHaveLength(6)
  for (const gap of gaps(times)) expect(gap).toBeGreaterThanOrEqual(49)
})

test('whoever leaves after an answer leaves late enough after it', async () => {
  const { lane, done } = await leaving(1)
  await done
  await sleep(45)
  lane.answered()
  const answeredAt = performance.now()
  ;(await lane.turn(never))?.()
  expect(performance.now() - answeredAt).toBeGreaterThanOrEqual(24)
})

test('servers do not wait for each other', async () => {
  const pace = paceOf('many servers')
  const lefts = await Promise.all(Array.from({ length: 1000 }, (_, n) => pace.lane(`${n}`).turn(never)))
  expect(lefts).toHaveLength(1000)
})

test('who gives up lets the next one go, and too many are refused at once', async () => {
  const lane = newLane()
  const first = await lane.turn(never)
  const control = new AbortController()
  const second = lane.turn(control.signal)
  const third = lane.turn(never)
  control.abort()
  first?.()
  await expect(second).rejects.toThrow()
  ;(await third)?.()
  const gone = new AbortController()
  const waiting = Array.from({ length: 600 }, () => lane.turn(gone.signal).catch(() => 'gone'))
  expect(await lane.turn(never)).toBeNull()
  gone.abort()
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(['gone']))
  expect(await lane.turn(never)).not.toBeNull()
})
