import type { WireMigration, WireServer } from '@pintail/core/wire'
import { expect, test } from 'vitest'
import { arrowsOf, bowOf, widthOf } from './arrows.ts'
import { foldAbove, groupsOf, layoutOf, nextNode, placesKey, refreshed, regionId } from './layout.ts'

const server = (id: string, region: string | null, verdict = 'up'): WireServer =>
  ({ server_id: id, name: id, region, status: 'online', cordoned: false, verdict: { verdict, reasons: [] } }) as unknown as WireServer
const fleet = (count: number): WireServer[] => Array.from({ length: count }, (_, n) => server(`s${n}`, `region-${n % 7}`))
const move = (status: WireMigration['status'], from: string, to: string, users = 1, completedAt: string | null = null): WireMigration =>
  ({
    id: `${from}${to}${status}`,
    status,
    from_server_id: from,
    to_server_id: to,
    connection_count_at_start: users,
    completed_at: completedAt,
  }) as WireMigration
const self = (id: string): string => id

test('there is one arrow for a pair and direction, with all its users', () => {
  const arrows = arrowsOf(
    [move('transferring', 'a', 'b', 3), move('transferring', 'a', 'b', 4), move('transferring', 'b', 'a', 5)],
    self,
    0,
  )
  expect(arrows.map(({ from, to, users }) => [from, to, users])).toEqual([
    ['a', 'b', 7],
    ['b', 'a', 5],
  ])
})

test('each status has the colour of seed 004, and a cancelled migration no arrow', () => {
  const tone = (status: WireMigration['status']) => arrowsOf([move(status, 'a', 'b')], self, 0)[0]?.tone
  expect(tone('completed')).toBe('good')
  for (const status of ['preparing', 'transferring', 'completing'] as const) expect(tone(status)).toBe('busy')
  for (const status of ['scheduled', 'approved'] as const) expect(tone(status)).toBe('waiting')
  expect(tone('suggested')).toBe('idle')
  expect(tone('failed')).toBe('bad')
  expect(tone('cancelled')).toBeUndefined()
})

test('of several migrations of one pair the one that is furthest under way gives the arrow its form', () => {
  const [arrow] = arrowsOf([move('completed', 'a', 'b', 9), move('scheduled', 'a', 'b', 2), move('transferring', 'a', 'b', 1)], self, 0)
  expect(arrow).toMatchObject({ status: 'transferring', users: 1 })
})

test('a success makes way after ten minutes, a failure stays for an hour', () => {
  const at = new Date(0).toISOString()
  const shown = (status: 'completed' | 'failed', minutes: number) =>
    arrowsOf([move(status, 'a', 'b', 1, at)], self, minutes * 60_000).length
  expect([shown('completed', 9), shown('completed', 11), shown('failed', 59), shown('failed', 61)]).toEqual([1, 0, 1, 0])
})

test('an arrow to a server that is gone, or within one folded region, is not drawn', () => {
  expect(arrowsOf([move('transferring', 'a', 'gone')], (id) => (id === 'gone' ? null : id), 0)).toEqual([])
  expect(arrowsOf([move('transferring', 'a', 'b')], () => 'eu', 0)).toEqual([])
})

test('more users make a wider arrow, and a hundred thousand no wall', () => {
  const widths = [0, 1, 10, 100, 1000].map(widthOf)
  expect([...widths].sort((a, b) => a - b)).toEqual(widths)
  expect(widthOf(100_000)).toBeLessThanOrEqual(12)
})

test('an arrow goes around a server that stands in its way', () => {
  const [from, to] = [
    { x: 0, y: 0 },
    { x: 200, y: 0 },
  ]
  const wall = [-10, 0, 10, 20, 36].map((y) => ({ x: 100, y, r: 6 }))
  expect(bowOf(from, to, [], false)).toBeGreaterThan(0)
  expect(bowOf(from, to, wall, false)).toBeLessThan(0)
  // The other side belongs to the arrow the other way.
  expect(bowOf(from, to, wall, true)).toBeGreaterThan(0)
})

test('the same fleet has the same places, and no two servers have one', () => {
  const [a, b] = [layoutOf(groupsOf(fleet(60), new Set()), 1.7), layoutOf(groupsOf(fleet(60), new Set()), 1.7)]
  expect(a.nodes.map(({ id, x, y }) => [id, x, y])).toEqual(b.nodes.map(({ id, x, y }) => [id, x, y]))
  for (const [index, one] of a.nodes.entries())
    for (const other of a.nodes.slice(index + 1)) expect(Math.hypot(one.x - other.x, one.y - other.y)).toBeGreaterThan(2 * one.r)
})

test('regions do not overlap', () => {
  for (const count of [1, 2, 7, 23, 299]) {
    const { regions } = layoutOf(groupsOf(fleet(count), new Set()), 1.7)
    for (const [index, one] of regions.entries())
      for (const other of regions.slice(index + 1))
        expect(Math.hypot(one.x - other.x, one.y - other.y)).toBeGreaterThan(0.95 * (one.r + other.r))
  }
})

test('above three hundred servers regions are folded, and one that is unfolded shows its servers', () => {
  const servers = fleet(foldAbove + 1)
  const folded = layoutOf(groupsOf(servers, new Set()), 1.7)
  expect(folded.nodes).toHaveLength(7)
  expect(folded.nodeOf.get('s0')?.id).toBe(regionId('region-0'))
  const unfolded = layoutOf(groupsOf(servers, new Set([regionId('region-0')])), 1.7)
  expect(unfolded.nodes.filter(({ kind }) => kind === 'server')).toHaveLength(43)
  expect(unfolded.nodeOf.get('s0')?.id).toBe('s0')
})

test('of a region of two thousand the three hundred worst are drawn', () => {
  const servers = [...Array.from({ length: 1999 }, (_, n) => server(`s${n}`, null)), server('dead', null, 'down')]
  const layout = layoutOf(groupsOf(servers, new Set([regionId(null)])), 1.7)
  expect(layout.nodes).toHaveLength(300)
  expect(layout.nodeOf.get('dead')?.kind).toBe('server')
  expect(layout.regions[0]?.more).toBe(1700)
})

test('a verdict changes what is drawn and no place, folded or not; one server more has another key', () => {
  for (const count of [60, foldAbove + 1]) {
    const [before, after] = [fleet(count), fleet(count)]
    after[5] = server('s5', 'region-5', 'down')
    const unfolded = new Set([regionId('region-5')])
    const [groups, later] = [groupsOf(before, unfolded), groupsOf(after, unfolded)]
    expect(placesKey(later, 1.7)).toBe(placesKey(groups, 1.7))
    const [quick, anew] = [refreshed(layoutOf(groups, 1.7), later), layoutOf(later, 1.7)]
    expect(quick).toEqual(anew)
    expect(quick.nodeOf.get('s5')).toMatchObject({ kind: 'server', state: 'down' })
    expect(placesKey(groupsOf(fleet(count + 1), unfolded), 1.7)).not.toBe(placesKey(groups, 1.7))
  }
})

test('a region that is called as our own key is another region', () => {
  const servers = [...fleet(foldAbove), server('a', '["region",null]'), server('b', null)]
  const ids = layoutOf(groupsOf(servers, new Set()), 1).nodes.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})

test('arrow keys reach every server', () => {
  const { nodes } = layoutOf(groupsOf(fleet(40), new Set()), 1.7)
  const reached = new Set<string>()
  const open = nodes.slice(0, 1)
  for (let node = open.pop(); node; node = open.pop()) {
    if (reached.has(node.id)) continue
    reached.add(node.id)
    for (const key of ['ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight'] as const) {
      const next = nextNode(nodes, node, key)
      if (next) open.push(next)
    }
  }
  expect(reached.size).toBe(nodes.length)
})
