import { expect, test } from 'vitest'
import { resolvePolicy } from '../../packages/core/src/options.ts'
import { lordenBound, silenceRate } from './markov.ts'
import { type Background, backgrounds, changes, loses, newPath, seeded } from './path.ts'
import { contenders } from './policies.ts'
import { falseDownRate } from './rare.ts'
import { partitionMoves } from './trials.ts'
import { vote } from './vote.ts'
import { healthy, World } from './world.ts'

const bursty = backgrounds.find(({ name }) => name === 'bursty5') as Background
const effort = { trials: 500, mostChecks: 100_000, levels: 16 }

test('a bursty path loses 5 % overall, in bad times of a second, and remembers nothing after long', () => {
  const random = seeded(1)
  const path = newPath(bursty, random)
  let lost = 0
  for (let packet = 1; packet <= 200_000; packet++) if (loses(path, bursty, packet * 500, random)) lost++
  expect(lost / 200_000).toBeGreaterThan(0.046)
  expect(lost / 200_000).toBeLessThan(0.054)
  expect(changes(bursty, 1e9)[0]).toBeCloseTo(bursty.badShare)
  // Bad for a second on average: it has changed within a millisecond with a chance of one in a thousand.
  expect(changes(bursty, 1)[1]).toBeCloseTo(0.001, 5)
})

/** By brute force: a healthy server is watched, and each time it is called down is counted. */
function bruteForce(detect: Parameters<typeof silenceRate>[0], vantages: number, most: number): { perYear: number; events: number } {
  const world = new World({ detect, vantages, background: bursty, random: seeded(5), fault: healthy }, 0.5)
  let events = 0
  let wasDown = false
  for (let checks = 0; checks < most && events < 200; checks++) {
    world.advance()
    if (world.verdict === 'down' && !wasDown) events++
    wasDown = world.verdict === 'down'
  }
  return { perYear: (events * 31_557_600_000) / world.now, events }
}

test('splitting, brute force and the hidden-Markov calculation agree where all three can be done', () => {
  const { detect } = resolvePolicy({ detect: { confirm: { durationMs: 1600 } } }).policy
  const brute = bruteForce(detect, 1, 2_000_000)
  expect(brute.events).toBeGreaterThan(100)
  const { perYear, highPerYear } = falseDownRate({ detect, vantages: 1, background: bursty, random: seeded(6), fault: healthy }, effort)
  expect(highPerYear).toBeGreaterThan(perYear)
  for (const other of [brute.perYear, silenceRate(detect, bursty, 240)]) {
    expect(perYear / other).toBeGreaterThan(0.7)
    expect(perYear / other).toBeLessThan(1.4)
  }
})

test('splitting and brute force agree for cusum and for three vantages', () => {
  const eager = resolvePolicy({ detect: { detector: 'cusum', cusum: { falseAlarmsPerYear: 100, intervalMs: 1000 } } }).policy.detect
  const short = resolvePolicy({ detect: { confirm: { durationMs: 600 } } }).policy.detect
  for (const [detect, vantages] of [
    [eager, 1],
    [short, 3],
  ] as const) {
    const brute = bruteForce(detect, vantages, 3_000_000)
    expect(brute.events).toBeGreaterThan(100)
    const { perYear } = falseDownRate({ detect, vantages, background: bursty, random: seeded(8), fault: healthy }, effort)
    expect(perYear / brute.perYear).toBeGreaterThan(0.65)
    expect(perYear / brute.perYear).toBeLessThan(1.5)
  }
})

test("Lorden's bound for 30 % against 2 % at one false alarm a year of a packet each 5 s is 27 packets", () => {
  expect(lordenBound(365 * 86_400 * 0.2, 0.3, 0.02)).toBeCloseTo(27, 0)
})

test('a vantage that has lost its network moves nobody, and without guards it moves everybody', () => {
  const one = contenders.find(({ name }) => name === 'default')
  if (!one) throw new Error('there is no default')
  expect(partitionMoves(one, bursty, seeded(3))).toBe(0)
  expect(partitionMoves({ ...one, isGuarded: false }, bursty, seeded(3))).toBe(10)
})

test('more than half of those with an opinion, and two at least, make a verdict', () => {
  expect(vote(['down'])).toBe('down')
  expect(vote(['down', 'down', 'up'])).toBe('down')
  expect(vote(['down', 'up', 'up'])).toBe('up')
  expect(vote(['down', 'unknown', 'unknown'])).toBe('suspect')
  expect(vote(['down', 'up'])).toBe('suspect')
})
