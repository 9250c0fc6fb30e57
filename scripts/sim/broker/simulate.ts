import type { ConnectionMover, MigrationStore, Move } from '@pintail/core'
import { type History, historyOf, type SimResult } from '@pintail/core/testing'
import type { HomeChange } from '../../../packages/adapters/src/access/index.ts'
import { type RegionMover, regionMover, type SyncReport } from '../../../packages/adapters/src/regions/index.ts'
import { seededRandom } from '../../../packages/core/src/testing/random.ts'
import type { Process } from '../../../packages/core/src/testing/sim/process.ts'
import { Simulation } from '../../../packages/core/src/testing/sim/simulate.ts'
import type { TrueUser } from '../../../packages/core/src/testing/sim/world.ts'
import { VirtualBooks } from './books.ts'
import type { BrokerMutant } from './mutants.ts'
import { VirtualBroker } from './transport.ts'
import { VirtualWorkers } from './workers.ts'

const syncEveryMs = 30_000

/** The world of a seed, with workers and a broker instead of a panel. */
export function brokerHistoryOf(seed: number): History {
  const { setup, steps } = historyOf(seed)
  const has = ['complete', 'locate', 'rollback'] as const
  const panel = {
    ...setup.panel,
    fencing: 'enforced',
    confirmation: 'applied',
    has: seed % 4 === 0 ? ([...has, 'verify'] as const) : has,
  } as const
  return { setup: { ...setup, panel }, steps }
}

/** Runs one world with a broker. */
export function simulateBroker(
  history: History,
  traced = false,
  store?: MigrationStore,
  mutant: BrokerMutant | null = null,
): Promise<SimResult> {
  return new BrokerWorld(history, traced, store, mutant).run()
}

interface Effect {
  readonly move: Move
  readonly is: 'move' | 'complete' | 'rollback'
}

class BrokerWorld {
  readonly #sim: Simulation
  readonly #broker: VirtualBroker
  readonly #workers: VirtualWorkers
  readonly #books: VirtualBooks
  readonly #movers = new Map<Process, RegionMover>()
  /** Whose call it is, by connection, server and pair on the wire. */
  readonly #effects = new Map<string, Effect>()
  readonly #history: History
  readonly #timeoutMs: number
  /** When something was last lost on a server, so that nobody's access there is our doing until a sync has been. */
  readonly #wipedAt = new Map<string, number>()

  constructor(history: History, traced: boolean, store: MigrationStore | undefined, mutant: BrokerMutant | null) {
    this.#history = history
    this.#sim = new Simulation(history, traced, store)
    const { world } = this.#sim
    this.#timeoutMs = history.setup.policy.migration?.timeoutMs ?? 20_000
    this.#broker = new VirtualBroker(world, this.#timeoutMs)
    this.#broker.forgetsLeave = mutant === 'sync-without-leave'
    this.#books = new VirtualBooks(world, (change, isNew) => this.#homeSet(change, isNew), mutant === 'attempts-are-wanted')
    const witness = {
      granted: (serverId: string, user: TrueUser, pair: { token: number; epoch: number }) => {
        const effect = this.#effects.get(keyOf(user.id, serverId, pair))
        if (!user.grants.has(serverId)) user.grants.set(serverId, effect?.move.key ?? null)
      },
      revoked: (serverId: string, user: TrueUser, pair: { token: number; epoch: number }) => this.#revoked(serverId, user, pair),
      stale: (serverId: string, id: string, pair: { token: number; epoch: number }, newest: { token: number; epoch: number }) =>
        this.#sim.judge.report(
          'I3',
          `${id} on ${serverId}: ${pair.token}.${pair.epoch} has its effect after ${newest.token}.${newest.epoch}`,
        ),
    }
    this.#workers = new VirtualWorkers(world, this.#broker, witness, this.#timeoutMs, mutant === 'worker-takes-stale')
    this.#sim.moverOf = (process) => this.#moverOf(process)
    this.#sim.onRest = () => this.#atRest()
    this.#faults()
  }

  run(): Promise<SimResult> {
    return this.#sim.run()
  }

  // ------------------------------------------------------------------------------------------------------------- movers

  #moverOf(process: Process): ConnectionMover {
    const { world, judge } = this.#sim
    const inner = regionMover(this.#broker.transportOf(process), {
      access: this.#books.of(process),
      accessFor: ({ id }) => ({ id }),
      timeoutMs: Math.max(100, this.#timeoutMs),
      syncEveryMs,
      checks: this.#history.setup.panel.has.includes('verify'),
      regionOf: ({ region }) => region ?? 'none',
      leads: () => {
        const health = this.#sim.engineOf(process)?.health()
        return health?.state === 'leading' && health.leader ? health.leader.token : null
      },
      // Timers of the host, not of the engine: they stop with its process.
      clock: {
        now: () => process.clock.now(),
        setTimeout: (callback, ms) => world.clock.setTimeout(() => process.run(callback), ms),
        defer: (callback) => process.clock.defer?.(callback),
      },
      random: seededRandom(this.#history.setup.seed * 17 + 3),
    })
    this.#movers.set(process, inner)
    const noted = (is: Effect['is'], move: Move): void => {
      const epoch = 2 * move.epoch + (is === 'move' ? 0 : 1)
      const serverId = is === 'complete' ? move.from.id : move.to.id
      this.#effects.set(keyOf(move.connection.id, serverId, { token: move.fencingToken, epoch }), { move, is })
    }
    const mover: ConnectionMover = {
      confirmation: inner.confirmation,
      fencing: inner.fencing,
      move: (move, ctx) =>
        process.call(async () => {
          const flight = { move, process }
          judge.moveStarted(process, move)
          noted('move', move)
          world.inFlight.add(flight)
          try {
            return await inner.move(move, ctx)
          } finally {
            world.inFlight.delete(flight)
          }
        }, 'move'),
      complete: (move, ctx) =>
        process.call(async () => {
          judge.mayCall(process, `takes ${move.connection.id} off ${move.from.id}`)
          noted('complete', move)
          return inner.complete(move, ctx)
        }, 'complete'),
      rollback: (move, ctx) =>
        process.call(async () => {
          judge.mayCall(process, `rolls ${move.connection.id} back`)
          judge.rollbackAsked(move)
          const user = world.users.get(move.connection.id)
          if (user && !user.gone) judge.undoing(move, user)
          noted('rollback', move)
          await inner.rollback(move, ctx)
          judge.rolledBack(move, user && !user.gone ? user : null)
        }, 'rollback'),
      locate: (move, ctx) =>
        process.call(async () => {
          const located = await inner.locate(move, ctx)
          if (located === 'on_source' || located === 'absent') judge.notOnTarget(move)
          return located
        }, 'locate'),
    }
    const { verify } = inner
    return verify ? { ...mover, verify: (move, ctx) => process.call(async () => verify(move, ctx), 'verify') } : mover
  }

  #homeSet({ connectionId, to, token, epoch, key }: HomeChange, isNew: boolean): void {
    const { world, judge } = this.#sim
    const user = world.users.get(connectionId)
    if (!user || user.gone) return
    const server = world.servers.get(to)
    const isOurs = server?.alive && !server.gone && (this.#wipedAt.get(to) ?? Number.NEGATIVE_INFINITY) < world.now - 2 * syncEveryMs
    if (key !== null && isOurs && !user.grants.has(to) && user.touchedAt < world.now - 60_000)
      judge.report('I1', `${connectionId} is at home on ${to}, where nothing was granted`)
    if (!isNew) return
    const effect =
      this.#effects.get(keyOf(connectionId, to, { token, epoch: 2 * epoch })) ??
      [...this.#effects.values()].find(
        ({ move }) => move.connection.id === connectionId && move.fencingToken === token && move.epoch === epoch,
      )
    if (key === null && effect) judge.rolledBack(effect.move, user)
    world.rehome(user, to)
    user.hidden.delete(to)
    if (key === null) {
      if (!user.grants.has(to)) user.grants.set(to, effect?.move.key ?? null)
      return
    }
    const prefers = world.preferences.get(user.id) ?? []
    world.preferences.set(user.id, prefers.slice(prefers.indexOf(to) + 1 || 1))
    if (effect) judge.granted(effect.move, user)
  }

  #revoked(serverId: string, user: TrueUser, pair: { token: number; epoch: number }): void {
    const { world, judge } = this.#sim
    const effect = this.#effects.get(keyOf(user.id, serverId, pair))
    if (effect?.is === 'complete') judge.revoked(effect.move, user)
    else if (effect?.is === 'rollback') judge.rolledBack(effect.move, user)
    if (effect?.is !== 'complete' && user.home === serverId && user.touchedAt < world.now - 60_000)
      judge.report('I1', `${user.id} loses his home ${serverId}: ${effect?.is ?? 'a sync'} takes it`)
  }

  // ------------------------------------------------------------------------------------------------------------- faults

  /** What happens to workers, regions and the stream; the faults of the panel are the broker's. */
  #faults(): void {
    const { world } = this.#sim
    const { seed, troubleMs } = this.#history.setup
    const random = seededRandom(seed * 2003 + 29)
    const many = Math.floor(random() * 8)
    const kinds = ['killed', 'wiped', 'cut', 'stream', 'daemon', 'down'] as const
    for (let index = 0; index < many; index++) {
      const kind = kinds[Math.floor(random() * kinds.length)] as (typeof kinds)[number]
      const [at, pick] = [20_000 + random() * 0.9 * troubleMs, random()]
      const lastsMs = Math.min(1000 * 2 ** (random() * 9), Math.max(1000, troubleMs - at))
      world.clock.setTimeout(() => this.#strike(kind, pick, lastsMs), at)
    }
  }

  #strike(kind: 'killed' | 'wiped' | 'cut' | 'stream' | 'daemon' | 'down', pick: number, lastsMs: number): void {
    const { world } = this.#sim
    const workers = this.#workers
    const here = [...world.servers.values()].filter(({ gone }) => !gone)
    const one = here[Math.floor(pick * here.length)]
    const station = one && workers.station(one.id)
    if (!station) return
    if (kind === 'stream') workers.streamIsGone()
    else if (kind === 'cut') {
      const region = here.flatMap(({ id }) => workers.station(id) ?? []).filter((other) => other.region === station.region)
      for (const each of region) each.isCut = true
      world.clock.setTimeout(() => {
        for (const each of region) each.isCut = false
      }, lastsMs)
    }
    if (kind === 'stream' || kind === 'cut') return
    // The daemon of the server has lost everybody, and its worker all that it remembers.
    if (kind === 'daemon') {
      this.#wipedAt.set(station.server.id, world.now)
      for (const user of world.users.values())
        if (user.grants.delete(station.server.id)) {
          user.touchedAt = Math.max(user.touchedAt, world.now)
          user.hidden.delete(station.server.id)
        }
    }
    workers.kill(station, kind === 'wiped' || kind === 'daemon')
    station.isDown = true
    world.clock.setTimeout(() => workers.start(station), kind === 'down' ? lastsMs : 2000)
  }

  // ---------------------------------------------------------------------------------------------------------------- rest

  /** Each is where the books say, and nowhere else but where a revoke is owed; a sync finds nothing to do. */
  async #atRest(): Promise<void> {
    const { world, judge } = this.#sim
    const reports = await this.#syncAll()
    if (reports === null) return
    for (const { serverId, status, missing, changed, extra, error } of reports) {
      const server = world.servers.get(serverId)
      if (!server?.alive || server.gone) continue
      if (status !== 'applied') judge.report('progress', `the sync of ${serverId} is ${status}: ${error}`)
      else if (missing + changed + extra > 0)
        judge.report('progress', `at rest a sync of ${serverId} finds ${missing} missing, ${changed} changed, ${extra} too many`)
    }
    const owed = new Set([...judge.revokes.values()].map(({ serverId, move }) => `${move.connection.id} ${serverId}`))
    for (const user of world.users.values()) {
      if (user.gone || user.touchedAt === Number.POSITIVE_INFINITY) continue
      const home = world.servers.get(user.home)
      if (home?.alive && !home.gone && !user.grants.has(user.home))
        judge.report('I1', `at rest ${user.id} has no access on ${user.home}, his home`)
      for (const id of user.grants.keys()) {
        const server = world.servers.get(id)
        const isKnown = id === user.home || owed.has(`${user.id} ${id}`) || !server?.alive || server.gone || this.#isOpen(user.id)
        if (!isKnown) judge.report('I7', `at rest ${user.id} of ${user.home} has access on ${id}, which nobody owes`)
      }
    }
  }

  /** The old grant of a move whose migration has not ended. */
  #isOpen(user: string): boolean {
    const { judge } = this.#sim
    return [...judge.moves.values()].some(({ connection, migrationId }) => {
      const status = judge.migrations.get(migrationId)?.status
      return connection.id === user && status !== undefined && !['completed', 'failed', 'cancelled'].includes(status)
    })
  }

  /** Two periods after all faults: the first sync may still have repaired something. */
  async #syncAll(): Promise<readonly SyncReport[] | null> {
    const leading = this.#sim.leader()
    const mover = leading && this.#movers.get(leading)
    if (!mover) return null
    for (const station of this.#workers.stations.values()) {
      station.isCut = false
      if (station.isDown) this.#workers.start(station)
    }
    let reports: readonly SyncReport[] | null = null
    for (let times = 0; times < 3; times++) {
      const syncing = mover.sync().then(
        (all) => {
          reports = all
        },
        () => {
          reports = null
        },
      )
      await this.#sim.advance(4 * this.#timeoutMs)
      await Promise.race([syncing, Promise.resolve()])
      await this.#sim.advance(syncEveryMs)
    }
    return reports
  }
}

const keyOf = (connectionId: string, serverId: string, { token, epoch }: { readonly token: number; readonly epoch: number }): string =>
  `${connectionId} ${serverId} ${token}.${epoch}`
