// 300 servers die at once. How long does it take to decide where everybody goes, and how good is that?
//
// 10,000 servers in 20 regions take up 100,000 to 1,000,000 users in 200 cohorts, and are 84 % full afterwards. A fifth of the
// regions have less room than users, and hardly more of it with a feature than those who need that there: whoever takes such a
// place without need strands somebody. Other users must not go to some countries. Distances tell servers apart. Beside it stands what many would write: users in the order of the list, each to the server with the best score at that moment (with a
// heap for each cohort, so that it is not slow for nothing), above the fill limit only if there is nothing below it. Scores are the engine's own; the most that any assignment could
// place is found by a maximum flow written for this comparison alone.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { groupCohorts } from '../packages/core/src/assign/cohorts.ts'
import { inOrder } from '../packages/core/src/assign/order.ts'
import { contextOf, roomOf } from '../packages/core/src/decide/placement.ts'
import { makePlan, type PlanWorld, type Source } from '../packages/core/src/decide/plan.ts'
import { contributionsOf, rank, scoreOf, type Target } from '../packages/core/src/decide/ranking.ts'
import { routes } from '../packages/core/src/decide/routes.ts'
import { resolvePolicy } from '../packages/core/src/options.ts'
import type { Connection, Coordinates, Needs, Plan, Server, ServerId } from '../packages/core/src/vocabulary.ts'
import { type Bench, median, medianTime } from './harness.ts'

const sizes = { '100k': 100_000, '300k': 300_000, '1m': 1_000_000 } as const
type Size = keyof typeof sizes
const regions = 20
const live = 10_000
const dead = 300
const fullAfter = 0.84
/** Room in the regions that are short of it, for each of their users, and how many servers have the feature. */
const shortRoom = 0.9
const withFeature = 0.25
const citiesPerRegion = 5
const runs = 5

const { policy } = resolvePolicy()

/** A small generator, so that each run sees the same world. */
function draws(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function server(id: string, region: number, draw: () => number, capacity: number): Server {
  const kind = draw()
  return {
    id: id as ServerId,
    rawId: id,
    host: id,
    name: id,
    status: 'online',
    port: null,
    region: `r${region}`,
    country: `k${region % 10}`,
    coordinates: cityOf(region, Math.floor(draw() * citiesPerRegion)),
    failureDomain: `d${Math.floor(draw() * 100)}`,
    capacity,
    load: 0,
    resources: { cpuPercent: null, memoryPercent: null, diskPercent: null },
    features: draw() < withFeature ? ['p2p'] : [],
    protocols: kind < 0.6 ? ['wireguard', 'openvpn'] : kind < 0.9 ? ['wireguard'] : ['openvpn'],
    priceEurHour: Math.round(draw() * 1000) / 10_000,
    meta: null,
  }
}

/** Regions all around the Earth, and cities of one within a thousand kilometres or so. */
function cityOf(region: number, city: number): Coordinates {
  const longitude = -180 + (360 * region) / regions + 2 * city
  return { latitude: ((region * 37) % 100) - 50 + 1.5 * city, longitude: longitude > 180 ? longitude - 360 : longitude }
}

/** Ten kinds of users a region: what they need, and how dear they are to the provider. */
function variants(region: number): { needs: Needs; tier: number }[] {
  const needs: Needs[] = [
    { protocols: ['wireguard'] },
    { countries: Array.from({ length: 10 }, (_, country) => `k${country}`).filter((_, country) => (country + region) % 5 !== 2) },
    { protocols: ['wireguard', 'openvpn'], features: ['p2p'] },
    { regions: [`r${region}`] },
    { regions: [`r${region}`], protocols: ['wireguard'], features: ['p2p'] },
  ]
  return needs.flatMap((one) => [0, 1].map((tier) => ({ needs: one, tier })))
}

function worldOf(size: Size): PlanWorld {
  const users = sizes[size]
  const draw = draws(20_261_121)
  const sources: { server: Server; isDown: boolean; connections: Connection[] }[] = Array.from({ length: dead }, (_, index) => ({
    server: server(`dead-${index}`, index % regions, draw, 0),
    isDown: true,
    connections: [],
  }))
  const kinds = Array.from({ length: regions }, (_, region) => variants(region))
  // Each server's list comes in one piece, as from a registry, in an order that means nothing.
  for (let index = 0; index < users; index++) {
    const source = sources[Math.floor((index * dead) / users)] as (typeof sources)[number]
    const region = Number(source.server.region?.slice(1))
    const { needs, tier } = (kinds[region] as ReturnType<typeof variants>)[Math.floor(draw() * 10)] as { needs: Needs; tier: number }
    const id = `u${(index * 7919) % users}` as Connection['id']
    const { region: name } = source.server
    source.connections.push({ id, rawId: id, userId: null, region: name, needs, mobility: 'free', tier, preferredServer: null, meta: null })
  }
  const isShort = (index: number) => (index % regions) % 5 === 0
  const roomThere = (shortRoom * users) / 5
  const servers = Array.from({ length: live }, (_, index) => {
    // Where room is short servers are small and nearly empty, so that the fill limit alone keeps nobody away.
    const places = isShort(index) ? Math.round((roomThere / (live / 5)) * (0.5 + draw())) : 400 + Math.floor(draw() * 800)
    return server(`s${index}`, index % regions, draw, isShort(index) ? Math.ceil(1.25 * places) : places)
  })
  const sum = (some: readonly Server[]) => some.reduce((total, one) => total + (one.capacity ?? 0), 0)
  const large = sum(servers.filter((_, index) => !isShort(index)))
  const room = users + (1 - fullAfter) * sum(servers) - roomThere
  const targets = servers.map((one, index): Target => {
    const capacity = one.capacity as number
    const load = Math.round(isShort(index) ? 0.2 * capacity : capacity * Math.max(0, 1 - (room / large) * (0.5 + draw())))
    return {
      server: one,
      verdict: 'up',
      cordoned: false,
      instability: draw() < 0.05 ? draw() * 0.9 : 0,
      load,
      capacity: one.capacity,
      full: load >= (one.capacity ?? 0),
      limited: true,
      rttMs: null,
    }
  })
  return {
    now: 0,
    sources: sources as readonly Source[],
    coverage: { kind: 'assigned', asOf: 0, remembered: false },
    targets,
    policy,
    policyVersion: 0,
    regions: new Set(),
    claims: new Map(),
    moveMs: null,
    digest: (value) => createHash('sha256').update(JSON.stringify(value)).digest('base64url'),
  }
}

interface Cohorts {
  readonly connections: readonly Connection[]
  readonly cohorts: ReturnType<typeof groupCohorts>
  readonly seats: { target: Target; load: number; room: number; soft: number }[]
  readonly context: ReturnType<typeof contextOf>
}

function cohortsOf({ sources, targets }: PlanWorld): Cohorts {
  const connections = sources.flatMap((source) => source.connections)
  const context = contextOf(
    {
      targets,
      only: null,
      sourceDomains: sources.flatMap((source) => source.server.failureDomain ?? []),
      policy: policy.placement,
      reason: 'server-down',
    },
    new Set(sources.map((source) => source.server.id)),
    new Set(connections.map(({ region }) => region)),
  )
  const seats = targets.map((target) => {
    const upTo = (fill: number) => roomOf(target, fill, policy.placement)
    return { target, load: target.load ?? 0, room: upTo(1), soft: upTo(policy.placement.fillLimit) }
  })
  return { connections, cohorts: groupCohorts(connections, inOrder(connections, { length: 0 }), new Map()), seats, context }
}

const accepts = (needs: Needs, { protocols, features, region, country }: Server): boolean =>
  (needs.protocols ?? []).every((one) => protocols.includes(one)) &&
  (needs.features ?? []).every((one) => features.includes(one)) &&
  (needs.regions?.includes(region ?? '') ?? true) &&
  (needs.countries?.includes(country ?? '') ?? true)

/** What a user adds to the sum of scores: that at the load which he finds. Only headroom depends on the load. */
function scorer({ cohorts, seats, context }: Cohorts): (cohort: number, seat: number, arrived: number) => number {
  const total = Object.values(context.weights).reduce((sum, weight) => sum + weight, 0)
  const atRest = new Map<string | null, Float64Array>()
  for (const { sample } of cohorts) {
    const cohort = { key: '', sample, refusedBy: new Set<ServerId>() }
    if (!atRest.has(sample.region))
      atRest.set(
        sample.region,
        Float64Array.from(seats, ({ target }) => scoreOf(contributionsOf(cohort, target, 0, context))),
      )
  }
  const rests = cohorts.map(({ sample }) => atRest.get(sample.region) as Float64Array)
  return (cohort, index, arrived) => {
    const { target } = seats[index] as Cohorts['seats'][number]
    const rest = (rests[cohort] as Float64Array)[index] as number
    return rest - (context.weights.headroom * arrived) / (target.capacity as number) / total
  }
}

interface Outcome {
  readonly stranded: number
  /** The mean over those who have been placed. */
  readonly score: number
  /** Standard deviation of how full the servers are afterwards, in percent of their capacity. */
  readonly spread: number
  /** How many are above the fill limit. */
  readonly above: number
  readonly ms: number
}

const aboveOf = (seats: Cohorts['seats'], arrived: ArrayLike<number>): number =>
  seats.reduce((sum, { soft }, index) => sum + Math.max(0, (arrived[index] as number) - soft), 0)

function spreadOf(seats: Cohorts['seats'], arrived: ArrayLike<number>): number {
  const fill = seats.map(({ target, load }, index) => (100 * (load + (arrived[index] as number))) / (target.capacity as number))
  const mean = fill.reduce((sum, one) => sum + one, 0) / fill.length
  return Math.sqrt(fill.reduce((sum, one) => sum + (one - mean) ** 2, 0) / fill.length)
}

/** A heap of servers for each cohort, by the score that was true when it was put there. */
function greedy(given: Cohorts): Outcome {
  const { cohorts, seats, connections } = given
  const idOf = (place: number) => Number(connections[place]?.id.slice(1))
  const score = scorer(given)
  const begun = performance.now()
  const arrived = new Float64Array(seats.length)
  let sum = 0
  let placed = 0
  const stranded: number[] = []
  const users = cohorts.flatMap(({ places }, cohort) => Array.from(places, (place) => ({ cohort, id: idOf(place) })))
  users.sort((a, b) => a.id - b.id)
  const heaps = cohorts.map(({ sample }, cohort) => {
    const fit = seats.flatMap(({ target, room }, seat) => (room > 0 && accepts(sample.needs, target.server) ? [seat] : []))
    const entries = fit.map((seat) => ({ seat, key: score(cohort, seat, 0) })).sort((a, b) => b.key - a.key)
    return entries
  })
  for (const { cohort } of users) {
    const heap = heaps[cohort] as { seat: number; key: number }[]
    for (let top = heap[0]; ; top = heap[0]) {
      if (!top) {
        stranded.push(cohort)
        break
      }
      const { seat } = top
      const isFull = (arrived[seat] as number) >= (seats[seat]?.room as number)
      // Above the fill limit only when nothing below it is left: the same rule as the engine's.
      const beyond = (arrived[seat] as number) >= (seats[seat]?.soft as number) ? 10 : 0
      const key = isFull ? Number.NEGATIVE_INFINITY : score(cohort, seat, arrived[seat] as number) - beyond
      if (!isFull && key === top.key) {
        sum += key + beyond
        placed++
        arrived[seat] = (arrived[seat] as number) + 1
        break
      }
      if (isFull) {
        const last = heap.pop() as { seat: number; key: number }
        if (heap.length > 0) heap[0] = last
      } else top.key = key
      sink(heap)
    }
  }
  return {
    stranded: stranded.length,
    score: sum / placed,
    spread: spreadOf(seats, arrived),
    above: aboveOf(seats, arrived),
    ms: performance.now() - begun,
  }
}

function sink(heap: { key: number }[]): void {
  for (let at = 0; ; ) {
    let below = 2 * at + 1
    if (below >= heap.length) return
    if (below + 1 < heap.length && (heap[below + 1] as { key: number }).key > (heap[below] as { key: number }).key) below++
    if ((heap[below] as { key: number }).key <= (heap[at] as { key: number }).key) return
    const moved = heap[at] as { key: number }
    heap[at] = heap[below] as { key: number }
    heap[below] = moved
    at = below
  }
}

function ofPlan({ placements, unplaced }: Plan, given: Cohorts): Omit<Outcome, 'ms'> {
  const score = scorer(given)
  const seatOf = new Map(given.seats.map(({ target }, seat) => [target.server.id, seat]))
  const cohortOf = new Map(
    given.cohorts.flatMap(({ places }, cohort) => Array.from(places, (place) => [given.connections[place]?.id, cohort] as const)),
  )
  const arrived = new Float64Array(given.seats.length)
  let sum = 0
  let placed = 0
  for (const { toServerId, connections } of placements) {
    const seat = seatOf.get(toServerId) as number
    for (const { id } of connections) {
      sum += score(cohortOf.get(id) as number, seat, arrived[seat] as number)
      arrived[seat] = (arrived[seat] as number) + 1
      placed++
    }
    if ((arrived[seat] as number) > (given.seats[seat]?.room as number)) throw new Error(`${toServerId} is above its capacity`)
  }
  return { stranded: unplaced.length, score: sum / placed, spread: spreadOf(given.seats, arrived), above: aboveOf(given.seats, arrived) }
}

/** The most that can be placed: augmenting paths in breadth over cohorts and servers of the same kind (Edmonds and Karp). */
function mostPlaceable({ cohorts, seats }: Cohorts): number {
  const kinds = new Map<string, { server: Server; room: number }>()
  for (const { target, room } of seats) {
    const { region, country, protocols, features } = target.server
    const key = [region, country, ...protocols, ...features].join(' ')
    const kind = kinds.get(key)
    if (kind) kind.room += room
    else kinds.set(key, { server: target.server, room })
  }
  const pools = [...kinds.values()]
  const flow = cohorts.map(() => pools.map(() => 0))
  const open = cohorts.map(({ sample }) => pools.map((pool) => accepts(sample.needs, pool.server)))
  let placed = 0
  for (const [start, { places }] of cohorts.entries()) {
    for (let left = places.length; left > 0; ) {
      const by = pools.map(() => -1)
      const from = cohorts.map(() => -1)
      const queue = [start]
      let end = -1
      for (let at = 0; at < queue.length && end < 0; at++) {
        const cohort = queue[at] as number
        for (const [index, pool] of pools.entries()) {
          if (by[index] !== -1 || !open[cohort]?.[index]) continue
          by[index] = cohort
          if (pool.room > 0) {
            end = index
            break
          }
          for (const [other, flows] of flow.entries())
            if ((flows[index] as number) > 0 && from[other] === -1 && other !== start) {
              from[other] = index
              queue.push(other)
            }
        }
      }
      if (end < 0) break
      let amount = Math.min(left, (pools[end] as { room: number }).room)
      for (let pool = end; by[pool] !== start; pool = from[by[pool] as number] as number) {
        const cohort = by[pool] as number
        amount = Math.min(amount, flow[cohort]?.[from[cohort] as number] as number)
      }
      for (let pool = end; ; pool = from[by[pool] as number] as number) {
        const cohort = by[pool] as number
        const flows = flow[cohort] as number[]
        flows[pool] = (flows[pool] as number) + amount
        if (cohort === start) break
        flows[from[cohort] as number] = (flows[from[cohort] as number] as number) - amount
      }
      ;(pools[end] as { room: number }).room -= amount
      left -= amount
      placed += amount
    }
  }
  return placed
}

/** The peak of a process that makes this one plan and nothing else. */
function peakOf(size: Size): number {
  // Hosts run JavaScript. What strips the types off these sources stays in memory, 28 MB of it, and must not be counted as the
  // plan's: the first process leaves its work in a cache for the second.
  const cache = mkdtempSync(join(tmpdir(), 'pintail-bench-'))
  try {
    const peaks = [0, 1].map(() => {
      const { stdout, status } = spawnSync(process.execPath, [...process.execArgv, process.argv[1] as string, 'plan', 'peak', size], {
        encoding: 'utf8',
        env: { ...process.env, NODE_COMPILE_CACHE: cache },
      })
      const line = stdout.split('\n').find((one) => one.includes('peak_rss_mb'))
      if (status !== 0 || !line) throw new Error(`the process that plans ${size} ended with ${status}`)
      return (JSON.parse(line) as { value: number }).value
    })
    return peaks[1] as number
  } finally {
    rmSync(cache, { recursive: true, force: true })
  }
}

/** The worst grouping: 10,000 cohorts, as each of them prefers another server. */
async function manyCohorts(emit: Parameters<Bench>[0]): Promise<void> {
  const world = worldOf('100k')
  const preferring = world.sources.map((source) => ({
    ...source,
    connections: source.connections.map((one) => ({
      ...one,
      preferredServer: `s${(Number(one.id.slice(1)) % 500) * regions + Number(one.region?.slice(1))}` as ServerId,
      tier: 0,
      needs: {},
    })),
  }))
  const given = cohortsOf({ ...world, sources: preferring })
  const rows = given.cohorts.map((cohort) => ({ cohort, count: cohort.places.length }))
  const ms = await medianTime(() => routes(rows, given.seats, given.context, policy.placement.weights), runs)
  emit({ case: `${rows.length} cohorts`, metric: 'place_ms', value: ms, unit: 'ms' })
}

const plan: Bench = async (emit, { args, progress }) => {
  if (args[0] === 'peak') {
    const { placements } = makePlan(worldOf(args[1] as Size), 'server-down')
    if (placements.length === 0) throw new Error('nobody was placed')
    emit({ case: args[1] as Size, metric: 'peak_rss_mb', value: process.resourceUsage().maxRSS / 1024, unit: 'MB' })
    return
  }
  const times = new Map<Size, number>()
  for (const size of Object.keys(sizes) as Size[]) {
    const world = worldOf(size)
    const given = cohortsOf(world)
    const rows = given.cohorts.map((cohort) => ({ cohort, count: cohort.places.length }))
    progress(`${size}: ${rows.length} cohorts`)
    const isLargest = size === '1m'
    const placeCpu: number[] = []
    const placeMs = await medianTime(() => {
      const cpu = process.cpuUsage()
      routes(rows, given.seats, given.context, policy.placement.weights)
      const { user, system } = process.cpuUsage(cpu)
      placeCpu.push((user + system) / 1000)
    }, runs)
    emit({ case: size, metric: 'place_ms', value: placeMs, unit: 'ms', ...(isLargest && { aim: 'value<=150' }) })
    emit({ case: size, metric: 'place_cpu_ms', value: median(placeCpu), unit: 'ms' })
    const wholes: number[] = []
    const used: number[] = []
    let made = makePlan(world, 'server-down')
    for (let run = 0; run < runs; run++) {
      const begun = performance.now()
      const cpu = process.cpuUsage()
      made = makePlan(world, 'server-down')
      wholes.push(performance.now() - begun)
      const { user, system } = process.cpuUsage(cpu)
      used.push((user + system) / 1000)
      progress(`${size}, run ${run + 1}: ${(wholes.at(-1) as number).toFixed(0)} ms through makePlan`)
    }
    times.set(size, median(wholes))
    emit({ case: size, metric: 'end_to_end_ms', value: median(wholes), unit: 'ms', ...(isLargest && { aim: 'value<=600' }) })
    // On a machine that others use too, this says more: of all threads, those of the garbage collector included.
    emit({ case: size, metric: 'end_to_end_cpu_ms', value: median(used), unit: 'ms' })
    const ours = ofPlan(made, given)
    const theirs = greedy(given)
    const peer = 'greedy'
    emit({ case: size, metric: 'time_of_greedy', value: placeMs, unit: 'ms', peer, ratio: placeMs / theirs.ms })
    const unavoidable = sizes[size] - mostPlaceable(given)
    emit({
      case: size,
      metric: 'stranded',
      value: ours.stranded,
      unit: 'users',
      peer: 'maximum flow',
      ok: ours.stranded === unavoidable,
      aim: `value==${unavoidable}`,
    })
    emit({ case: size, metric: 'stranded_by_greedy', value: theirs.stranded, unit: 'users' })
    emit({ case: size, metric: 'above_fill_limit', value: ours.above, unit: 'users' })
    emit({ case: size, metric: 'above_fill_limit_by_greedy', value: theirs.above, unit: 'users' })
    emit({ case: size, metric: 'score_of_greedy', value: ours.score, unit: 'mean score', peer, ratio: ours.score / theirs.score })
    emit({ case: size, metric: 'spread', value: ours.spread, unit: '% of capacity', peer, ratio: ours.spread / theirs.spread })
    emit({ case: size, metric: 'migrations', value: made.placements.length, unit: 'pairs' })
    emit({ case: size, metric: 'rss_mb', value: peakOf(size), unit: 'MB', ...(isLargest && { aim: 'value<=400' }) })
  }
  await manyCohorts(emit)
  const growth = (times.get('1m') as number) / (times.get('100k') as number)
  emit({ case: '1m', metric: 'growth', value: growth, unit: '× of 100k', aim: 'value<=12' })
  const world = worldOf('100k')
  const { cohorts, context } = cohortsOf(world)
  const [cohort] = cohorts
  if (!cohort) throw new Error('there is no cohort')
  const ms = await medianTime(() => rank(cohort, world.targets, context), runs)
  emit({ case: 'rank-10k', metric: 'rankings_per_s', value: 1000 / ms, unit: '1/s' })
}

export default plan
