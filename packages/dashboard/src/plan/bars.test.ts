import type { WirePlan } from '@pintail/core/wire'
import { expect, test } from 'vitest'
import { barsOf, stayingOf } from './bars.ts'

const use = (id: string, before: number | null, after: number | null, capacity: number | null): WirePlan['utilisation'][number] => ({
  server_id: id,
  load_before: before,
  load_after: after,
  capacity,
  share_before: null,
  share_after: null,
})

test('servers that are left come first, then who gets the most', () => {
  const bars = barsOf({ from_server_ids: ['s1'], utilisation: [use('a', 10, 15, 100), use('b', 10, 40, 100), use('s1', 35, 0, 100)] })
  expect(bars.map(({ serverId }) => serverId)).toEqual(['s1', 'b', 'a'])
  expect(bars[0]).toMatchObject({ isSource: true, change: -35, kept: 0, changed: 0.35, limit: 1 })
  expect(bars[1]).toMatchObject({ kept: 0.1, changed: 0.3, change: 30, isTooFull: false })
})

test('a server that gets more than it holds is drawn beyond its limit', () => {
  const [bar] = barsOf({ from_server_ids: [], utilisation: [use('a', 90, 120, 100)] })
  expect(bar).toMatchObject({ isTooFull: true, kept: 0.75, changed: 0.25 })
  expect(bar?.limit).toBeCloseTo(100 / 120, 9)
})

test('without a capacity all bars have the same scale, and nothing is called full', () => {
  const bars = barsOf({ from_server_ids: [], utilisation: [use('a', 10, 40, null), use('b', 20, 20, null)] })
  expect(bars.map(({ kept, changed, limit, isTooFull }) => [kept, changed, limit, isTooFull])).toEqual([
    [0.25, 0.75, null, false],
    [0.5, 0, null, false],
  ])
})

test('an empty fleet and unknown loads make bars of nothing', () => {
  expect(barsOf({ from_server_ids: [], utilisation: [use('a', null, null, null), use('b', 0, 0, 0)] })).toEqual([
    expect.objectContaining({ kept: 0, changed: 0 }),
    expect.objectContaining({ kept: 0, changed: 0, isTooFull: false }),
  ])
})

test('who stays is grouped by why, with a few examples', () => {
  const unplaced = Array.from({ length: 9 }, (_, n) => ({
    connection_id: `c${n}`,
    code: n < 7 ? ('no_capacity' as const) : ('pinned' as const),
    message: 'why',
  }))
  expect(stayingOf({ unplaced })).toEqual([
    { code: 'no_capacity', named: 7, message: 'why', examples: ['c0', 'c1', 'c2', 'c3', 'c4'] },
    { code: 'pinned', named: 2, message: 'why', examples: ['c7', 'c8'] },
  ])
})
