import type { WireServer } from '@pintail/core/wire'
import { forceCollide } from 'd3-force'
import { type ServerState, serverState, stateOrder } from '../base/states.ts'
import type { Point } from './arrows.ts'

/** Above so many servers regions are folded. */
export const foldAbove = 300
/** So many servers of one unfolded region are drawn, the worst first; the table has them all. */
const mostDrawn = 300

export interface Group {
  /** Of the region; null: servers without one. */
  readonly region: string | null
  readonly servers: readonly WireServer[]
  readonly isFolded: boolean
  readonly counts: Readonly<Record<ServerState, number>>
  readonly worst: ServerState
}

export interface ServerNode extends Point {
  readonly kind: 'server'
  readonly id: string
  readonly r: number
  readonly server: WireServer
  readonly state: ServerState
}
export interface RegionNode extends Point {
  readonly kind: 'region'
  readonly id: string
  readonly r: number
  readonly group: Group
  /** Servers of an unfolded region that are not drawn. */
  readonly more: number
}
export type MapNode = ServerNode | RegionNode

export interface Layout {
  readonly nodes: readonly MapNode[]
  /** Of unfolded regions: the circle around their servers. */
  readonly regions: readonly RegionNode[]
  /** Node of each server, or of its folded region. */
  readonly nodeOf: ReadonlyMap<string, MapNode>
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number }
}

const collator = new Intl.Collator('en', { numeric: true })

export const regionId = (region: string | null): string => JSON.stringify(['region', region])

export function groupsOf(servers: readonly WireServer[], unfolded: ReadonlySet<string>): readonly Group[] {
  const isLarge = servers.length > foldAbove
  const byRegion = new Map<string | null, WireServer[]>()
  for (const one of servers) {
    const list = byRegion.get(one.region)
    if (list) list.push(one)
    else byRegion.set(one.region, [one])
  }
  return [...byRegion]
    .sort(([a], [b]) => (a === null ? 1 : b === null ? -1 : collator.compare(a, b)))
    .map(([region, list]) => {
      const counts = countsOf(list)
      return {
        region,
        servers: list,
        counts,
        isFolded: isLarge && !unfolded.has(regionId(region)),
        worst: stateOrder.find((state) => counts[state] > 0) ?? 'up',
      }
    })
}

function countsOf(servers: readonly WireServer[]): Record<ServerState, number> {
  const counts: Record<ServerState, number> = { up: 0, suspect: 0, down: 0, unknown: 0, cordoned: 0, maintenance: 0, offline: 0 }
  for (const one of servers) counts[serverState(one)]++
  return counts
}

const radius = 22
/** Between two servers, centre to centre: room for a name of twelve letters. */
export const spacing = 98

/** Points of a lattice of triangles around its point, the middle of an edge, or of a triangle; nearest first. */
function lattice(count: number, offset: Point): readonly Point[] {
  const reach = Math.ceil(Math.sqrt(count)) + 2
  const points: (Point & { far: number })[] = []
  for (let row = -reach; row <= reach; row++)
    for (let column = -reach; column <= reach; column++) {
      const x = column + (row % 2 === 0 ? 0 : 0.5) - offset.x
      const y = row * 0.9 - offset.y
      points.push({ x, y, far: Math.hypot(x, y) })
    }
  return points.sort((a, b) => a.far - b.far || a.y - b.y || a.x - b.x).slice(0, count)
}

/** The most compact of three ways to put so many side by side, from above to below as people read. */
function placesFor(count: number): readonly Point[] {
  const ways = [
    { x: 0, y: 0 },
    { x: 0.5, y: 0 },
    { x: 0.25, y: 0.45 },
    { x: 0.5, y: 0.3 },
  ].map((offset) => centred(lattice(count, offset)))
  const radiusOf = (places: readonly Point[]): number => Math.max(0, ...places.map(({ x, y }) => Math.hypot(x, y)))
  const best = ways.reduce((a, b) => (radiusOf(b) < radiusOf(a) - 0.01 ? b : a))
  return [...best].sort((a, b) => a.y - b.y || a.x - b.x).map(({ x, y }) => ({ x: x * spacing, y: y * spacing }))
}

function centred(places: readonly Point[]): readonly Point[] {
  const middle = (values: readonly number[]): number => (Math.min(...values) + Math.max(...values)) / 2
  const [x, y] = [middle(places.map((one) => one.x)), middle(places.map((one) => one.y))]
  return places.map((one) => ({ x: one.x - x, y: one.y - y }))
}

/** Seeded, so that the same fleet always looks the same. */
function random(): () => number {
  let state = 42
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296
    return state / 4294967296
  }
}

interface Centre {
  readonly reach: number
  readonly index: number
  x: number
  y: number
  vx: number
  vy: number
}

/** d3-force brings the regions near each other without overlap, in a fixed number of steps. */
function centresOf(reaches: readonly number[], aspect: number): readonly Point[] {
  const columns = Math.max(1, Math.round(Math.sqrt(reaches.length * aspect)))
  const widest = Math.max(1, ...reaches)
  const centres: Centre[] = reaches.map((reach, index) => ({
    reach,
    index,
    x: (index % columns) * widest * 2.1,
    y: Math.floor(index / columns) * widest * 2.1,
    vx: 0,
    vy: 0,
  }))
  const rows = Math.ceil(centres.length / columns)
  settle(centres, Math.min(200, Math.ceil(20_000 / Math.max(1, centres.length))), {
    x: ((columns - 1) / 2) * widest * 2.1,
    y: ((rows - 1) / 2) * widest * 2.1,
    strengthX: 0.04 / Math.max(1, aspect),
    strengthY: 0.04 * Math.min(1, aspect),
  })
  return centres.map(({ x, y }) => ({ x, y }))
}

/**
 * As d3-force's own simulation goes, with its defaults (cold after 300 steps, velocities lose 40 % a step), but all steps at
 * once: that one brings timers along. What pulls to the middle is its `forceX` and `forceY`.
 */
function settle(
  centres: Centre[],
  steps: number,
  middle: { readonly x: number; readonly y: number; readonly strengthX: number; readonly strengthY: number },
): void {
  const apart = forceCollide<Centre>(({ reach }) => reach + 18).iterations(3)
  apart.initialize?.(centres, random())
  for (let step = 1; step <= steps; step++) {
    const alpha = 0.001 ** (step / 300)
    for (const one of centres) {
      one.vx += (middle.x - one.x) * middle.strengthX * alpha
      one.vy += (middle.y - one.y) * middle.strengthY * alpha
    }
    apart(alpha)
    for (const one of centres) {
      one.vx *= 0.6
      one.vy *= 0.6
      one.x += one.vx
      one.y += one.vy
    }
  }
}

/**
 * Where everything is. Depends on the servers' ids, regions and states alone, and not on how they came.
 * @param aspect width by height of the room that there is
 */
export function layoutOf(groups: readonly Group[], aspect: number): Layout {
  const drawn = groups.map((group) => ({ group, shown: group.isFolded ? [] : shownOf(group) }))
  const places = drawn.map(({ shown }) => placesFor(shown.length))
  const reaches = drawn.map(({ group }, index) => (group.isFolded ? foldedRadius(group.servers.length) + 34 : reachOf(places[index] ?? [])))
  const centres = centresOf(reaches, aspect)
  const nodes: MapNode[] = []
  const regions: RegionNode[] = []
  const nodeOf = new Map<string, MapNode>()
  for (const [index, { group, shown }] of drawn.entries()) {
    const centre = centres[index] ?? { x: 0, y: 0 }
    const r = group.isFolded ? foldedRadius(group.servers.length) : (reaches[index] ?? 0)
    const region: RegionNode = {
      kind: 'region',
      id: regionId(group.region),
      ...centre,
      r,
      group,
      more: group.servers.length - shown.length,
    }
    if (group.isFolded) nodes.push(region)
    else regions.push(region)
    for (const server of group.servers) if (group.isFolded) nodeOf.set(server.server_id, region)
    for (const [at, server] of shown.entries()) {
      const { x, y } = places[index]?.[at] ?? { x: 0, y: 0 }
      const node: ServerNode = {
        kind: 'server',
        id: server.server_id,
        x: centre.x + x,
        y: centre.y + y,
        r: radius,
        server,
        state: serverState(server),
      }
      nodes.push(node)
      nodeOf.set(node.id, node)
    }
  }
  return { nodes, regions, nodeOf, box: boxOf([...nodes, ...regions]) }
}

/** All that places depend on: with the same key `refreshed` has the same layout for less. */
export function placesKey(groups: readonly Group[], aspect: number): string {
  return JSON.stringify([
    aspect,
    groups.map((group) => [group.region, group.isFolded ? group.servers.length : shownOf(group).map(({ server_id }) => server_id)]),
  ])
}

/** The same places, with servers and counts as they are now. */
export function refreshed(layout: Layout, groups: readonly Group[]): Layout {
  const groupOf = new Map(groups.map((group) => [regionId(group.region), group]))
  const serverOf = new Map(groups.flatMap(({ isFolded, servers }) => (isFolded ? [] : servers.map((one) => [one.server_id, one] as const))))
  const nodeOf = new Map<string, MapNode>()
  const region = (node: RegionNode): RegionNode => ({ ...node, group: groupOf.get(node.id) ?? node.group })
  const nodes = layout.nodes.map((node): MapNode => {
    if (node.kind === 'region') {
      const fresh = region(node)
      for (const { server_id } of fresh.group.servers) nodeOf.set(server_id, fresh)
      return fresh
    }
    const server = serverOf.get(node.id) ?? node.server
    const fresh = { ...node, server, state: serverState(server) }
    nodeOf.set(node.id, fresh)
    return fresh
  })
  return { ...layout, nodes, regions: layout.regions.map(region), nodeOf }
}

const foldedRadius = (servers: number): number => 26 + 4 * Math.log2(1 + servers)
const reachOf = (places: readonly Point[]): number => Math.max(0, ...places.map(({ x, y }) => Math.hypot(x, y))) + 48

function shownOf({ servers }: Group): readonly WireServer[] {
  if (servers.length <= mostDrawn) return servers
  const rank = (one: WireServer): number => stateOrder.indexOf(serverState(one))
  return [...servers].sort((a, b) => rank(a) - rank(b)).slice(0, mostDrawn)
}

function boxOf(nodes: readonly MapNode[]): Layout['box'] {
  if (nodes.length === 0) return { x: 0, y: 0, width: 1, height: 1 }
  const left = Math.min(...nodes.map(({ x, r }) => x - r)) - 30
  const right = Math.max(...nodes.map(({ x, r }) => x + r)) + 30
  const top = Math.min(...nodes.map(({ y, r }) => y - r)) - 34
  const bottom = Math.max(...nodes.map(({ y, r }) => y + r)) + 34
  return { x: left, y: top, width: right - left, height: bottom - top }
}

/** The nearest node in a direction, for arrow keys: near, and rather ahead than aside. */
export function nextNode(
  nodes: readonly MapNode[],
  from: Point,
  key: 'ArrowUp' | 'ArrowDown' | 'ArrowLeft' | 'ArrowRight',
): MapNode | null {
  const [dx, dy] = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[key] as [number, number]
  let best: MapNode | null = null
  let least = Number.POSITIVE_INFINITY
  for (const node of nodes) {
    const ahead = (node.x - from.x) * dx + (node.y - from.y) * dy
    const aside = Math.abs((node.x - from.x) * dy) + Math.abs((node.y - from.y) * dx)
    if (ahead <= 0.5) continue
    const cost = ahead + 2 * aside
    if (cost < least) {
      least = cost
      best = node
    }
  }
  return best
}
