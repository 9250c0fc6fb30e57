import {
  type ConnectionMover,
  createPintail,
  isPintailError,
  type Located,
  type Move,
  memoryLeases,
  memoryMover,
  memoryRegistry,
  PintailError,
  type PintailEvent,
  type PintailOptions,
  type PolicyInput,
  type ServerRegistry,
} from '@pintail/core'
import { createFleet, type Fleet, type FleetOptions } from '@pintail/core/testing'

/**
 * What an optional part of a mover or a registry buys, observed: the little world is run twice in virtual time, once
 * with the part and once without, and says what it saw. Nothing in the last two columns is claimed that was not run.
 */
export interface Experiment {
  readonly part: string
  readonly buys: string
  /** Of DESIGN §8; null: none of them. */
  readonly invariant: string | null
  readonly world: string
  readonly observe: (present: boolean) => Promise<string>
}

// ---------------------------------------------------------------------------------------------------------------- worlds

type Parts = Parameters<NonNullable<FleetOptions['replace']>>[0]
type Mutable<T> = { -readonly [K in keyof T]: T[K] }

interface Call {
  readonly method: string
  readonly args: readonly unknown[]
  readonly at: number
}

interface World {
  fleet: Fleet
  readonly calls: readonly Call[]
  count(method: string): number
}

interface WorldOptions {
  /** Users on `s1`; there is nobody else. Default 1. */
  readonly users?: number
  /** Default 4. */
  readonly servers?: number
  readonly policy?: PolicyInput
  /** Before the world is handed out, milliseconds. Default 20 000. */
  readonly warmUpMs?: number
  readonly replace?: (parts: Parts) => Partial<PintailOptions>
}

const methods = ['move', 'prepare', 'complete', 'locate', 'verify', 'rollback', 'moveMany'] as const

/** A panel as most are: it moves a row of its books, whatever the key and the token. `change` adds to it. */
async function world(change: (mover: Mutable<ConnectionMover>, parts: Parts) => void, options: WorldOptions = {}): Promise<World> {
  const { users = 1, servers = 4, policy = { mode: 'auto' }, warmUpMs = 20_000, replace } = options
  const calls: Call[] = []
  const fleet = await createFleet({
    servers,
    connections: { s1: Array.from({ length: users }, (_, index) => ({ id: `u${index + 1}` })) },
    policy,
    replace: (parts) => {
      const mover: Mutable<ConnectionMover> = {
        move: async ({ connection, to }) => parts.registry.assign({ id: connection.rawId }, to.id),
      }
      change(mover, parts)
      return { mover: noted(mover, calls, parts), ...replace?.(parts) }
    },
  })
  await fleet.advance(warmUpMs)
  return { fleet, calls, count: (method) => calls.filter((call) => call.method === method).length }
}

/** The same mover, each call written down. */
function noted(mover: ConnectionMover, calls: Call[], { clock }: Parts): ConnectionMover {
  const wrapped: Record<string, unknown> = { ...mover }
  for (const method of methods) {
    const own = mover[method] as ((...args: unknown[]) => unknown) | undefined
    if (own)
      wrapped[method] = (...args: unknown[]) => {
        calls.push({ method, args, at: clock.now() })
        return own.apply(mover, args)
      }
  }
  return wrapped as unknown as ConnectionMover
}

function whereIs({ registry }: Parts, { connection, from, to }: Move): Located {
  const home = registry.homeOf(connection.id)
  if (home === to.id) return 'on_target'
  return home === from.id ? 'on_source' : 'absent'
}

/** Lets virtual time pass until the condition holds. */
async function until({ fleet }: World, what: string, condition: () => boolean): Promise<void> {
  for (let passed = 0; !condition(); passed += 100) {
    if (passed > 3_600_000) throw new Error(`not within an hour: ${what}`)
    await fleet.advance(100)
  }
}

type Told<T extends PintailEvent['type']> = Extract<PintailEvent, { type: T }>
const told = <T extends PintailEvent['type']>({ fleet }: World, type: T): Told<T>[] =>
  fleet.events.filter((event): event is Told<T> => event.type === type)

/** The server dies, and all that follows from it comes to its end. */
async function outage(made: World, server = 's1'): Promise<void> {
  made.fleet.kill(server)
  await until(made, 'the evacuation ends', () => told(made, 'evacuation.completed').length > 0)
  await made.fleet.advance(5000)
}

async function end({ fleet }: World, observed: string): Promise<string> {
  await fleet.stop()
  return observed
}

const times = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`
const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`
const residueOf = (made: World): number => told(made, 'migration.failed').reduce((sum, { data }) => sum + data.residue.length, 0)
const movedTo = (made: World, server: string): number =>
  told(made, 'connection.moved').filter(({ data }) => data.toServerId === server).length

/** The first server that users are sent to does not serve them, whatever the panel says. */
async function unusable(parts: {
  readonly verify: boolean
  readonly rollback: boolean
}): Promise<{ made: World; broken: string; home: string }> {
  let broken = ''
  const made = await world((mover, { registry }) => {
    const { move } = mover
    mover.move = (one, ctx) => {
      broken ||= one.to.id
      return move(one, ctx)
    }
    if (parts.verify) mover.verify = async ({ to }) => to.id !== broken
    if (parts.rollback) mover.rollback = async ({ connection, from }) => registry.assign({ id: connection.rawId }, from.id)
  })
  await outage(made)
  const home = made.fleet.registry.homeOf('u1') === broken ? 'where it does not work' : 'where it works'
  return { made, broken, home }
}

/** Each user has an access of its own on each server. */
function withGrants(mover: Mutable<ConnectionMover>, grants: Map<string, Set<string>>): void {
  const { move } = mover
  const of = (id: string): Set<string> => {
    const found = grants.get(id) ?? new Set(['s1'])
    grants.set(id, found)
    return found
  }
  mover.move = async (one, ctx) => {
    await move(one, ctx)
    of(one.connection.id).add(one.to.id)
  }
}

/** How long after a drain of the living `s1` its access is taken back. */
async function revokedAfter(confirmation: ConnectionMover['confirmation']): Promise<string> {
  const made = await world(
    (mover) => {
      mover.complete = async () => {}
      if (confirmation) mover.confirmation = confirmation
    },
    { policy: { mode: 'auto', migration: { revokeGraceMs: 60_000 } } },
  )
  await made.fleet.pintail.drain('s1')
  await until(made, 'the access is taken back', () => made.count('complete') > 0)
  const [move, complete] = ['move', 'complete'].map((method) => made.calls.find((call) => call.method === method)?.at ?? Number.NaN)
  return end(made, seconds((complete ?? 0) - (move ?? 0)))
}

/** A leader that is killed, and its request that arrives when another leads. */
async function lateRequest(enforced: boolean): Promise<string> {
  let late: (() => string) | undefined
  const highest = new Map<string, number>()
  const made = await world(
    (mover, parts) => {
      if (enforced) mover.fencing = 'enforced'
      mover.locate = async (move) => whereIs(parts, move)
      mover.move = async ({ connection, to, fencingToken }) => {
        const arrive = (): string => {
          if (enforced && fencingToken < (highest.get(to.id) ?? 0)) throw new PintailError('fenced', `token ${fencingToken} is old`)
          highest.set(to.id, fencingToken)
          parts.registry.assign({ id: connection.rawId }, to.id)
          return to.id
        }
        if (late) return arrive()
        late = arrive
        return new Promise(() => {})
      }
    },
    { servers: 8 },
  )
  made.fleet.kill('s1')
  await until(made, 'a move is under way', () => late !== undefined)
  made.fleet = await made.fleet.crash()
  await outage(made)
  const first = made.fleet.registry.homeOf('u1') ?? ''
  made.fleet.kill(first)
  await until(made, 'the user is on a third server', () => made.fleet.registry.homeOf('u1') !== first)
  await made.fleet.advance(10_000)
  let answer = 'carried out'
  try {
    late?.()
  } catch (error) {
    answer = `refused (${isPintailError(error) ? error.code : 'error'})`
  }
  await made.fleet.advance(600_000)
  const home = made.fleet.registry.homeOf('u1') === first ? 'on the dead server' : 'where the new leader has put him'
  return end(made, `the late request is ${answer}; ten minutes later the user is ${home}`)
}

/** How long before the end of a lease that cannot be renewed the last move starts. */
async function lastStart(enforced: boolean): Promise<string> {
  let leasedUntil = 0
  const made = await world(
    (mover, { clock }) => {
      if (enforced) mover.fencing = 'enforced'
      const { move } = mover
      mover.move = async (one, ctx) => {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 500))
        await move(one, ctx)
      }
    },
    {
      users: 300,
      warmUpMs: 5000,
      policy: { mode: 'auto', placement: { defaultCapacity: 1000 }, migration: { concurrency: 1 } },
      replace: ({ clock, registry }) => {
        const leases = memoryLeases(clock)
        let lost = false
        for (let id = 1; id <= 4; id++) registry.putServer({ id: `s${id}`, host: `192.0.2.${id}`, capacity: 1000 })
        return {
          leases: {
            acquire: async (holder, ttlMs, ctx) => {
              if (lost) return null
              leasedUntil = clock.now() + ttlMs
              return leases.acquire(holder, ttlMs, ctx)
            },
            renew: async () => {
              lost = true
              throw new PintailError('unavailable', 'the lease store is away')
            },
            release: async () => {},
          },
        }
      },
    },
  )
  made.fleet.kill('s1')
  await until(made, 'the lease has ended', () => made.fleet.clock.now() > leasedUntil + 1000)
  const last = Math.max(...made.calls.filter(({ method }) => method === 'move').map(({ at }) => at))
  return end(made, seconds(leasedUntil - last))
}

/** What a program sees that asks the registry for the status of `s1`. */
async function statusInOutage(present: boolean): Promise<string> {
  const made = await world(() => {}, { replace: ({ registry }) => (present ? {} : { registry: without(registry, 'setServerStatus') }) })
  const status = async () => {
    const rows = (await made.fleet.registry.listServers({ signal: new AbortController().signal })) as readonly {
      id: unknown
      status?: string
    }[]
    return rows.find(({ id }) => id === 's1')?.status ?? 'online'
  }
  await outage(made)
  const during = await status()
  made.fleet.revive('s1')
  await until(made, 'the recovery', () => told(made, 'incident.recovered').length > 0)
  return end(made, `${during} during the outage, ${await status()} after the recovery`)
}

function without(registry: ServerRegistry, part: keyof ServerRegistry): ServerRegistry {
  const { listServers, listConnections, setServerStatus, watch, coverage } = registry
  const all = { listServers, listConnections, setServerStatus, watch, coverage }
  return Object.fromEntries(
    Object.entries(all).filter(([name, value]) => name !== part && value !== undefined),
  ) as unknown as ServerRegistry
}

async function seenAfter(present: boolean): Promise<string> {
  let change = () => {}
  const made = await world(() => {}, {
    replace: ({ registry }) => ({
      registry: present
        ? {
            ...registry,
            async *watch() {
              while (true)
                yield await new Promise<void>((resolve) => {
                  change = resolve
                })
            },
          }
        : registry,
    }),
  })
  const before = told(made, 'server.added').length
  // Right after a reading of the list, so that the next one is as far away as it can be.
  const { listedAt } = made.fleet.pintail.status().registry
  await until(made, 'the next reading', () => made.fleet.pintail.status().registry.listedAt !== listedAt)
  const at = made.fleet.clock.now()
  made.fleet.registry.putServer({ id: 's9', host: '192.0.2.9' })
  change()
  await until(made, 'the new server is known', () => told(made, 'server.added').length > before)
  return end(made, `the new server is known after ${seconds(made.fleet.clock.now() - at)}`)
}

/** What `createPintail` says to a mover. */
function creating(mover: object): string {
  const registry = memoryRegistry({ servers: [] })
  try {
    createPintail({ registry, mover: { ...memoryMover(registry), ...mover } as ConnectionMover })
    return '`createPintail` takes it'
  } catch (error) {
    if (!isPintailError(error)) throw error
    const problem = error.problems[0] ? `${error.problems[0].path} ${error.problems[0].message}` : error.message
    return `\`createPintail\` throws \`${error.code}\`: ${problem}`
  }
}

// ----------------------------------------------------------------------------------------------------------- experiments

export const experiments: readonly Experiment[] = [
  {
    part: '`mover.move`',
    buys: 'the move itself; the one method that a mover cannot do without',
    invariant: null,
    world: 'an engine is made',
    observe: async (present) => creating(present ? {} : { move: undefined }),
  },
  {
    part: '`mover.locate`',
    buys: 'a move without an answer is asked for, not guessed',
    invariant: 'I4',
    world: '`s1` dies; the panel carries each move out, but its answers are lost',
    observe: async (present) => {
      const made = await world((mover, parts) => {
        const { move } = mover
        mover.move = async (one, ctx) => {
          await move(one, ctx)
          await new Promise(() => {})
        }
        if (present) mover.locate = async (one) => whereIs(parts, one)
      })
      await outage(made)
      const keys = new Set(made.calls.filter(({ method }) => method === 'move').map(({ args }) => (args[0] as Move).key))
      const asked = present ? `, ${made.count('locate')} of \`locate\`` : ''
      const booked = told(made, 'connection.moved').length
      return end(
        made,
        `${times(made.count('move'), 'call')} of \`move\` with ${times(keys.size, 'key')}${asked}; of 1 user that the panel has moved, ${booked} is booked as moved and ${residueOf(made)} is left as residue`,
      )
    },
  },
  {
    part: '`mover.verify`',
    buys: '“moved” means that the user can use it',
    invariant: 'I1',
    world: '`s1` dies; the first target takes users in, but serves them nothing',
    observe: async (present) => {
      const { made, broken, home } = await unusable({ verify: present, rollback: true })
      return end(made, `${movedTo(made, broken)} of 1 booked as moved to that target; the user ends ${home}`)
    },
  },
  {
    part: '`mover.rollback`',
    buys: 'what failed is undone, and the user is free for another target',
    invariant: 'I7',
    world: 'the same, with `verify`',
    observe: async (present) => {
      const { made, home } = await unusable({ verify: true, rollback: present })
      return end(made, `${residueOf(made)} of 1 left as residue; the user ends ${home}`)
    },
  },
  {
    part: '`mover.prepare`',
    buys: 'a target that is not ready is found before the first user is sent there',
    invariant: null,
    world: '`s1` dies with 9 users; one target refuses all of them',
    observe: async (present) => {
      let broken = ''
      const made = await world(
        (mover) => {
          const { move } = mover
          const ready = async (server: string): Promise<void> => {
            broken ||= server
            if (server === broken) throw new PintailError('rejected', 'no room for one more peer')
          }
          if (present) mover.prepare = (_from, to) => ready(to.id)
          mover.move = async (one, ctx) => {
            await ready(one.to.id)
            await move(one, ctx)
          }
        },
        { users: 9 },
      )
      await outage(made)
      const refused = made.calls.filter(({ method, args }) => method === 'move' && (args[0] as Move).to.id === broken).length
      return end(made, `${times(refused, 'user')} sent to that target; ${told(made, 'connection.moved').length} of 9 moved in the end`)
    },
  },
  {
    part: '`mover.complete`',
    buys: 'the access on the source is taken back, also from a dead server that returns',
    invariant: null,
    world: '`s1` dies with 9 users, each with an access of its own on each server',
    observe: async (present) => {
      const grants = new Map<string, Set<string>>()
      const made = await world(
        (mover) => {
          withGrants(mover, grants)
          if (present) mover.complete = async ({ connection, from }) => void grants.get(connection.id)?.delete(from.id)
        },
        { users: 9 },
      )
      await outage(made)
      const left = [...grants.values()].filter((servers) => servers.has('s1')).length
      return end(made, `${left} of 9 accesses are left on \`s1\``)
    },
  },
  {
    part: "`mover.confirmation: 'seen'`",
    buys: 'a living source need not wait: its access is taken back once the user was seen on the target',
    invariant: 'I1',
    world: '`s1` is drained while it lives; `revokeGraceMs` is 60 s',
    observe: async (present) => {
      if (present) return `the access on \`s1\` is taken back after ${await revokedAfter('seen')}`
      const [none, accepted, applied] = [await revokedAfter(undefined), await revokedAfter('accepted'), await revokedAfter('applied')]
      return none === accepted && none === applied
        ? `after ${none}, with \`accepted\` (default) and \`applied\` alike`
        : `after ${none} by default, ${accepted} with \`accepted\`, ${applied} with \`applied\``
    },
  },
  {
    part: "`mover.fencing: 'enforced'`",
    buys: 'a late leader is refused by the target itself',
    invariant: 'I3',
    world: 'the leader is killed with a request under way, which arrives after its successor has moved the user on',
    observe: lateRequest,
  },
  {
    part: "`mover.fencing: 'enforced'`",
    buys: 'moves go on to the end of the lease',
    invariant: 'I3',
    world: 'the lease cannot be renewed in the middle of an evacuation; a call may take 20 s',
    observe: async (enforced) => `the last move starts ${await lastStart(enforced)} before the lease ends`,
  },
  {
    part: '`mover.moveMany`',
    buys: 'typed, not used yet: many moves in one call',
    invariant: null,
    world: '`s1` dies with 9 users',
    observe: async (present) => {
      const made = await world(
        (mover) => {
          if (present) mover.moveMany = async (moves) => moves.map(() => ({ ok: true }))
        },
        { users: 9 },
      )
      await outage(made)
      return end(made, `${made.count('moveMany')} calls of \`moveMany\`, ${made.count('move')} of \`move\``)
    },
  },
  {
    part: "`mover.granularity: 'server'`",
    buys: 'typed, not built yet: panels that move everybody at once',
    invariant: null,
    world: 'an engine is made',
    observe: async (present) => creating({ granularity: present ? 'server' : 'connection' }),
  },
  {
    part: '`registry.setServerStatus`',
    buys: 'your own code stops assigning users to a dead server, and goes on after its recovery',
    invariant: null,
    world: '`s1` dies and returns',
    observe: statusInOutage,
  },
  {
    part: "`registry.coverage: 'active'`",
    buys: 'each decision says whether it knew all users or only those active lately',
    invariant: 'I8',
    world: '`s1` dies',
    observe: async (present) => {
      const made = await world(() => {}, {
        replace: ({ registry }) => ({ registry: present ? { ...registry, coverage: 'active' } : registry }),
      })
      await outage(made)
      const decided = told(made, 'decision.made')[0]?.data.decisionId ?? ''
      const { coverage } = await made.fleet.pintail.decision(decided)
      return end(made, `the decision says \`${coverage.kind}\``)
    },
  },
  {
    part: '`registry.watch`',
    buys: 'a changed list is read at once',
    invariant: null,
    world: 'the host adds a server; `registryRefreshMs` is 15 s',
    observe: seenAfter,
  },
]

// ----------------------------------------------------------------------------------------------------------------- table

/** One line of Markdown for each experiment; the last two columns are what was seen just now. */
export async function table(): Promise<string> {
  const rows: string[][] = [
    ['part', 'buys', 'invariant', 'little world', 'with it', 'without it'],
    ['---', '---', '---', '---', '---', '---'],
  ]
  for (const { part, buys, invariant, world, observe } of experiments)
    rows.push([part, buys, invariant ?? '', world, await observe(true), await observe(false)])
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

const [begin, finish] = ['<!-- begin: npm run docs:mover -->', '<!-- end: npm run docs:mover -->']

/** The text with the table between its markers. */
export function withTable(text: string, made: string): string {
  const [from, to] = [text.indexOf(begin), text.indexOf(finish)]
  if (from === -1 || to < from) throw new Error(`the markers are missing: ${begin} … ${finish}`)
  return `${text.slice(0, from + begin.length)}\n\n${made}\n\n${text.slice(to)}`
}
