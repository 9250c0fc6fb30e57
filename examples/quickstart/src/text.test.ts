import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bar, clip, clockTime, duration, fit, type Line, plain, width, wrap } from './text.ts'

const spans = fc.array(fc.oneof(fc.string(), fc.tuple(fc.string(), fc.constant('good' as const))), { maxLength: 5 })

test('a bar has exactly its width, whatever it shows', () => {
  fc.assert(
    fc.property(fc.double(), fc.double(), fc.double(), fc.integer({ min: 0, max: 200 }), (value, whole, reserved, wide) => {
      expect(width(bar(value, whole, wide, 'good', reserved))).toBe(wide)
    }),
    { seed: 1 },
  )
})

test('only what is full looks full, and only what is empty looks empty', () => {
  expect(plain(bar(999, 1000, 10, 'good'))).toBe('█████████░')
  expect(plain(bar(1, 1000, 10, 'good'))).toBe('█░░░░░░░░░')
  expect(plain(bar(1000, 1000, 10, 'good'))).toBe('██████████')
  expect(plain(bar(0, 1000, 10, 'good'))).toBe('░░░░░░░░░░')
})

test('what is reserved is the last part of the bar, and drawn lighter', () => {
  expect(plain(bar(6, 10, 10, 'good', 2))).toBe('████▒▒░░░░')
})

test('a clipped line is never wider than asked, and says that something is missing', () => {
  fc.assert(
    fc.property(spans, fc.integer({ min: 0, max: 60 }), (line, most) => {
      const clipped = clip(line, most)
      expect(width(clipped)).toBeLessThanOrEqual(most)
      if (width(line) > most && most > 0) expect(plain(clipped).endsWith('…')).toBe(true)
      if (width(line) <= most) expect(plain(clipped)).toBe(plain(line))
    }),
    { seed: 1 },
  )
})

test('a fitted line is exactly as wide as asked, and a negative width sets it to the right', () => {
  fc.assert(
    fc.property(spans, fc.integer({ min: -60, max: 60 }), (line, wide) => {
      expect(width(fit(line, wide))).toBe(Math.abs(wide))
    }),
    { seed: 1 },
  )
  expect(plain(fit(['12'] as Line, -5))).toBe('   12')
})

test('wrapped text loses no word, and no line is wider than asked', () => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(words, fc.integer({ min: 9, max: 40 }), (list, most) => {
      const lines = wrap(list.join(' '), most)
      expect(lines.join(' ')).toBe(list.join(' '))
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(most)
    }),
    { seed: 1 },
  )
})

test('durations read as an operator would say them', () => {
  expect([5, 999, 1000, 59_940, 60_000, 125_400].map(duration)).toEqual(['5 ms', '999 ms', '1.0 s', '59.9 s', '1 min 00 s', '2 min 05 s'])
  expect([0, 61_000, 3_600_000].map(clockTime)).toEqual(['00:00', '01:01', '1:00:00'])
})
