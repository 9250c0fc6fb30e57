import { expect, test } from 'vitest'
import { lineOf, median, medianTime, meets, quantile } from './harness.ts'
import { markdownResults, textTable } from './results.ts'

test('the median is the middle, or the mean of the two in the middle, in any order', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([10, 9])).toBe(9.5)
})

test('a quantile lies between the two nearest values', () => {
  const hundred = Array.from({ length: 101 }, (_, index) => index)
  expect(quantile(hundred, 0.99)).toBe(99)
  expect([quantile([1, 2], 0), quantile([1, 2], 0.25), quantile([1, 2], 1)]).toEqual([1, 1.25, 2])
  expect(() => quantile([], 0.5)).toThrow('no values')
  expect(() => quantile([1], 2)).toThrow('from 0 to 1')
})

test('a wall time is the median of at least five runs and one warm-up', async () => {
  let runs = 0
  expect(await medianTime(() => void runs++)).toBeGreaterThanOrEqual(0)
  expect(runs).toBe(6)
  await expect(medianTime(() => {}, 4)).rejects.toThrow('at least five')
})

test('an aim judges the value or the ratio', () => {
  expect(meets('value<=1.10', { value: 1.1 })).toBe(true)
  expect(meets('value<=1.10', { value: 1.11 })).toBe(false)
  expect(meets('ratio>=0.7', { value: 0, ratio: 0.7 })).toBe(true)
  expect(meets('value==0', { value: 0 })).toBe(true)
})

test('an aim that cannot be judged throws', () => {
  expect(() => meets('fast', { value: 1 })).toThrow('cannot read')
  expect(() => meets('<=2', { value: 1 })).toThrow('cannot read')
  expect(() => meets('ratio<=2', { value: 1 })).toThrow('needs a ratio')
  expect(meets('value<=2', { value: Number.NaN })).toBe(false)
})

const line = { case: '10k', metric: 'total_over_ideal', value: 1.0456789, unit: 'x', aim: 'value<=1.10' }

test('a line is named, rounded and judged; a missed aim says so', () => {
  expect(JSON.stringify(lineOf('evacuate', line))).toBe(
    '{"bench":"evacuate","case":"10k","metric":"total_over_ideal","value":1.046,"unit":"x","aim":"value<=1.10","ok":true}',
  )
  expect(lineOf('evacuate', { ...line, value: 2 })).toMatchObject({ ok: false })
})

test('a count stays exact', () => {
  expect(lineOf('sim', { case: 'campaign', metric: 'faults', value: 1_234_567, unit: '' })).toMatchObject({
    value: 1_234_567,
  })
})

test('an aim is judged before rounding', () => {
  expect(lineOf('evacuate', { ...line, value: 1.10004 })).toMatchObject({ value: 1.1, ok: false })
})

test('what was skipped says why, and has no figure', () => {
  expect(lineOf('probe', { case: 'fping', skipped: 'no fping' })).toEqual({
    bench: 'probe',
    case: 'fping',
    skipped: 'no fping',
  })
})

test('the tables hold every line; the date and the machine stand above, but no name of it', () => {
  const lines = [lineOf('evacuate', line), lineOf('probe', { case: 'a|b', skipped: 'no root' })]
  expect(textTable(lines).split('\n')).toHaveLength(3)
  const machine = { cpu: 'A CPU', cores: 2, memoryGb: 4, node: 'v24.0.0', kernel: '6.1' }
  const text = markdownResults(lines, machine, '2025-01-02')
  expect(text).toContain('- date: 2025-01-02')
  expect(text).toContain('| probe | a\\|b |  | skipped: no root |')
})
