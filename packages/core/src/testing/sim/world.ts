import { PintailError } from '../../errors.ts'
import { memoryStore } from '../../index.ts'
import type {
  ClientNotifier,
  ConnectionInput,
  ConnectionMover,
  GuardSource,
  GuardState,
  JournalDraft,
  JournalEntry,
  LeaseStore,
  Listing,
  Located,
  LogSink,
  MemberPost,
  MigrationStore,
  ObservationSource,
  Prober,
  Random,
  SampleInput,
  ServerInput,
  ServerRegistry,
  StoreWrite,
} from '../../ports.ts'
import type { Json, Move, ServerStatus, Token } from '../../vocabulary.ts'
import { type FakeClock, fakeClock } from '../clock.ts'
import { seededRandom } from '../random.ts'
import type { FaultKind } from './kinds.ts'
import type { Process } from './process.ts'
import { type Setup, secret } from './setup.ts'

/** A server as it really is. */
export interface TrueServer {
  readonly id: string
  row: ServerInput & { readonly capacity: number }
  alive: boolean
  slowMs: number
  lossy: boolean
  /** False: the prober alone cannot reach it. */
  reachable: boolean
  /** Regions from which it cannot be reached, and when that was last so, by region. */
  readonly blockedFor: Set<string>
  readonly blockedAt: Map<string, number>
  /** When it was last seen unwell by a prober that has a network, and since when it is well. */
  sickAt: number
  status: ServerStatus
  statusBy: 'host' | 'operator' | 'engine'
  statusAt: number
  gone: boolean
}

/** A user as he really is: what the books say, and where a grant of his exists. */
export interface TrueUser {
  readonly id: string
  readonly row: ConnectionInput
  home: string
  /** By server; the key that made it, or null if the host did. */
  readonly grants: Map<string, string | null>
  gone: boolean
  /** When the host or the world last interfered with his access: from then on nothing is our fault. */
  touchedAt: number
  /** When he last left a server, by the host's books. */
  readonly leftAt: Map<string, number>
  /** Servers on which a grant of his may exist that no engine can know of. */
  readonly hidden: Set<string>
}

/** Who hears what engines ask of the world. */
export interface Witness {
  listed(process: Process, rows: readonly ServerInput[], at: number, isHonest: boolean): void
  counted(process: Process, server: string, rows: readonly ConnectionInput[], at: number): void
  leads(process: Process, holder: string, token: number): void
  /** Of each call that changes something. */
  mayCall(process: Process, what: string): void
  moveStarted(process: Process, move: Move): void
  granted(move: Move, user: TrueUser): void
  revoked(move: Move, user: TrueUser): void
  rollbackAsked(move: Move): void
  notOnTarget(move: Move): void
  rolledBack(move: Move, user: TrueUser | null): void
  lied(move: Move): void
  arrivedLate(move: Move): void
  statusWritten(process: Process, server: TrueServer, status: ServerStatus): void
  forbade(process: Process, active: boolean): void
  undoing(move: Move, user: TrueUser): void
  delivered(move: Move): void
  committed(batch: { readonly writes: readonly StoreWrite[]; readonly journal: readonly JournalDraft[] }): void
}

export interface InFlight {
  readonly move: Move
  readonly process: Process
}

interface LeaseState {
  holder: string | null
  token: number
  until: number
}

const wellFor = 1

/** Calls of the mover, and `deliver` of the notifier. */
export type MoverCall = 'prepare' | 'move' | 'complete' | 'locate' | 'verify' | 'rollback' | 'deliver'

/** The truth, and the ports through which engines see and change it. */
export class World {
  readonly setup: Setup
  readonly clock: FakeClock
  readonly random: Random
  readonly startedAt: number
  readonly store: MigrationStore
  readonly servers = new Map<string, TrueServer>()
  readonly users = new Map<string, TrueUser>()
  readonly lease: LeaseState = { holder: null, token: 0, until: 0 }
  readonly inFlight = new Set<InFlight>()
  readonly refusing = new Set<string>()
  /** Calls of `move` that fail as a script says, by user and target. */
  readonly failures = new Map<
    string,
    { calls: number; readonly how: 'rejected' | 'unavailable' | 'unclear'; readonly isGivenUp: boolean }
  >()
  /** Servers that a user still prefers, the next one first. */
  readonly preferences = new Map<string, readonly string[]>()
  /** Servers whose preparation is refused for good. */
  readonly unprepared = new Set<string>()
  readonly logged = new Set<string>()
  /** The lease store has forgotten its holder; nobody else gets it before its time is over. */
  leaseLost = false
  /** Whole loss of the prober's network. */
  blind = false
  /** Since when the prober alone cannot reach its canaries; null: it can. */
  canariesLostAt: number | null = null
  /** Vantages elsewhere that reach nothing, and those that send nothing. */
  readonly lostVantages = new Set<string>()
  readonly silentVantages = new Set<string>()
  /** Servers that the server list leaves out. */
  readonly unlisted = new Set<string>()
  /** Servers whose connections cannot be listed. */
  readonly unlistable = new Set<string>()
  /** What the host forbids, by name, beside the fault `guards.forbid`. */
  readonly forbidden = new Map<string, GuardState>()
  judge!: Witness
  #lastBatch = { token: 0, batch: 0 }
  /** The first committed migration of each state tells in which phase the engine is. */
  onPhase: (status: string) => void = () => {}
  /** Hears every call of the mover before anything comes of it. */
  onCall: (name: MoverCall, move: Move | null) => void = () => {}
  /** Hears what has reached a user. */
  onDelivery: (move: Move, access: Json) => void = () => {}
  /** Stands between a call of the mover and its effect; it may leave out the one or the other. */
  between: (name: MoverCall, move: Move | null, work: () => Promise<unknown>) => Promise<unknown> = (_name, _move, work) => work()
  calls = 0
  readonly #until = new Map<FaultKind, number>()
  readonly #done = new Set<string>()
  #highest = 0
  readonly #newest = new Map<string, readonly [number, number]>()
  #stale: { servers: readonly ServerInput[]; connections: ReadonlyMap<string, readonly ConnectionInput[]> } | null = null

  constructor(setup: Setup, store: MigrationStore = memoryStore()) {
    this.setup = setup
    this.clock = fakeClock()
    this.startedAt = this.clock.now()
    this.random = seededRandom(setup.seed * 31 + 7)
    this.store = store
    for (const row of setup.servers) this.addServer(row)
    for (const { id, server, mobility, region, prefers = [] } of setup.users) {
      this.addUser(id, server, { id, mobility, region, meta: { note: secret } })
      this.preferences.set(id, prefers)
    }
  }

  // ------------------------------------------------------------------------------------------------------------ truth

  get now(): number {
    return this.clock.now() - this.startedAt
  }

  addServer(row: ServerInput & { readonly capacity: number }): void {
    const id = String(row.id)
    this.servers.set(id, {
      id,
      row,
      alive: true,
      slowMs: 0,
      lossy: false,
      reachable: true,
      blockedFor: new Set(),
      blockedAt: new Map(),
      sickAt: Number.NEGATIVE_INFINITY,
      status: 'online',
      statusBy: 'host',
      statusAt: 0,
      gone: false,
    })
  }

  addUser(id: string, server: string, row: ConnectionInput): void {
    const grants = new Map<string, string | null>([[server, null]])
    this.users.set(id, { id, row, home: server, grants, gone: false, touchedAt: this.now, leftAt: new Map(), hidden: new Set() })
  }

  on(server: string): TrueUser[] {
    return [...this.users.values()].filter(({ home, gone }) => home === server && !gone)
  }

  isWell({ alive, slowMs, lossy }: TrueServer): boolean {
    return alive && slowMs === 0 && !lossy
  }

  /** To be called when anything about a server's health changes, before and after. */
  noteHealth(server: TrueServer): void {
    if (!this.isWell(server)) server.sickAt = this.now
  }

  /** From a region it can be reached no more, or again. */
  block(server: TrueServer, region: string, isBlocked: boolean): void {
    server.blockedAt.set(region, this.now)
    if (isBlocked) server.blockedFor.add(region)
    else server.blockedFor.delete(region)
  }

  /** The audience that a user belongs to. */
  audienceOf({ row }: TrueUser): string | null {
    const region = row.region ?? null
    const isWatched = this.setup.vantages?.some((vantage) => vantage.region === region) === true
    return region === null ? null : isWatched ? region : '*'
  }

  /** Whether it has been well since then. */
  wellSince(server: TrueServer, since: number): boolean {
    return this.isWell(server) && server.sickAt + wellFor < since
  }

  /** Every entry that the store has kept. */
  async journal(): Promise<readonly JournalEntry[]> {
    const all: JournalEntry[] = []
    for (;;) {
      const query = { after: all.at(-1)?.seq ?? 0, limit: 100_000 }
      const { entries } = await this.store.readJournal(query, { signal: new AbortController().signal })
      if (entries.length === 0) return all
      all.push(...entries)
    }
  }

  // ------------------------------------------------------------------------------------------------------- fault windows

  open(kind: FaultKind, lastsMs: number): void {
    this.#until.set(kind, Math.max(this.#until.get(kind) ?? 0, this.now + lastsMs))
    if (kind === 'registry.is_stale')
      this.#stale = {
        servers: this.#rows(),
        connections: new Map([...this.servers.keys()].map((id) => [id, this.rowsOn(id)])),
      }
  }

  closeAll(): void {
    this.#until.clear()
    this.refusing.clear()
    this.blind = false
    this.canariesLostAt = null
    this.lostVantages.clear()
    this.silentVantages.clear()
    for (const server of this.servers.values()) {
      server.reachable = true
      for (const region of [...server.blockedFor]) this.block(server, region, false)
    }
  }

  /** How often an open fault strikes, where a scenario says so: 1 is always. */
  share: number | null = null

  /** Whether this fault strikes now: not every time, so that what is repeated may get through. */
  strikes(kind: FaultKind, share = 0.7): boolean {
    return (this.#until.get(kind) ?? 0) > this.now && this.random() < (this.share ?? share)
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimeout(resolve, ms))
  }

  #latency(low: number, high: number): Promise<void> {
    this.calls++
    return this.wait(low + this.random() * (high - low))
  }

  // --------------------------------------------------------------------------------------------------------- registry

  #id(id: string): string | number {
    return this.setup.registry.mixesIds && this.random() < 0.5 ? Number(id) : id
  }

  #rows(): ServerInput[] {
    return [...this.servers.values()]
      .filter(({ id, gone }) => !gone && !this.unlisted.has(id))
      .map(({ id, row, status }) => ({
        ...row,
        id: this.#id(id),
        status: this.setup.registry.setsStatus ? status : 'online',
        load: this.setup.registry.tellsLoad ? this.on(id).length : null,
      }))
  }

  /** In the host's books a user has another home from now on. */
  rehome(user: TrueUser, to: string): void {
    user.leftAt.set(user.home, this.now)
    user.home = to
  }

  /** Whom the registry names when it is asked for the connections of a server. */
  rowsOn(id: string): ConnectionInput[] {
    const rows = this.on(id).map((user) => this.#rowOf(user))
    if (this.setup.registry.coverage !== 'active') return rows
    // As VPN Duck does it: whoever was active there within the last hour, wherever he is now.
    const left = [...this.users.values()].filter(
      ({ gone, home, leftAt }) => !gone && home !== id && (leftAt.get(id) ?? -1) > this.now - 3_600_000,
    )
    return [...rows, ...left.map((user) => this.#rowOf(user))]
  }

  #rowOf({ id, row }: TrueUser): ConnectionInput {
    const isLeft = (server: string): boolean => {
      const failure = this.failures.get(`${id} ${server}`)
      return failure?.isGivenUp === true && failure.calls <= 0
    }
    const preferredServer = this.preferences.get(id)?.find((server) => !isLeft(server))
    return preferredServer === undefined ? row : { ...row, preferredServer }
  }

  registry(process: Process): ServerRegistry {
    const trouble = (): void => {
      if (this.strikes('registry.fails')) throw new Error('connection refused')
    }
    const hang = async (): Promise<void> => {
      if (this.strikes('registry.hangs')) await this.wait(120_000)
    }
    return {
      ...(this.setup.registry.coverage && { coverage: this.setup.registry.coverage }),
      listServers: ({ signal }) =>
        process.call(async () => {
          const at = this.now
          await this.#latency(1, 30)
          await hang()
          trouble()
          if (this.strikes('registry.answers_nothing')) return []
          const stale = this.strikes('registry.is_stale') && this.#stale
          let rows: readonly ServerInput[] = stale ? stale.servers : this.#rows()
          if (this.strikes('registry.misses_servers')) rows = rows.filter(() => this.random() < 0.6)
          // An answer to a call that was given up long ago reaches nobody.
          if (!signal.aborted) this.judge.listed(process, rows, stale ? at : this.now, !stale)
          return rows
        }),
      listConnections: (server, { signal }) =>
        process.call(async () => {
          const at = this.now
          await this.#latency(1, 30)
          await hang()
          trouble()
          if (this.unlistable.has(server.id)) throw new Error('relation "access" is locked')
          const stale = this.strikes('registry.is_stale') && this.#stale
          let rows = stale ? (stale.connections.get(server.id) ?? []) : this.rowsOn(server.id)
          if (this.strikes('registry.misses_connections')) rows = rows.filter(() => this.random() < 0.5)
          if (!signal.aborted) this.judge.counted(process, server.id, rows, stale ? at : this.now)
          return rows
        }),
      ...(this.setup.registry.setsStatus && {
        setServerStatus: (server, status) =>
          process.call(async () => {
            await this.#latency(1, 30)
            if (this.strikes('registry.refuses_status')) throw new Error('read-only')
            const found = this.servers.get(server.id)
            if (!found || found.gone) throw new PintailError('rejected', `there is no server ${server.id}`)
            this.judge.statusWritten(process, found, status)
            found.status = status
            found.statusBy = 'engine'
            found.statusAt = this.now
          }),
      }),
    }
  }

  // ------------------------------------------------------------------------------------------------------------ panel

  /** Refuses what is older than what it has seen, if it is a panel that does. */
  #admit(move: Move): void {
    if (this.setup.panel.fencing !== 'enforced') return
    if (move.fencingToken < this.#highest) throw new PintailError('fenced', `token ${move.fencingToken} is older than ${this.#highest}`)
    this.#highest = move.fencingToken
    const epoch = (move as { readonly epoch?: number }).epoch
    if (epoch === undefined) return
    const [token, newest] = this.#newest.get(move.connection.id) ?? [0, 0]
    if (move.fencingToken < token || (move.fencingToken === token && epoch <= newest))
      throw new PintailError('fenced', `epoch ${epoch} is not newer than ${newest}`)
    this.#newest.set(move.connection.id, [move.fencingToken, epoch])
  }

  #userOf(move: Move): TrueUser {
    const user = this.users.get(move.connection.id)
    if (!user || user.gone) throw new PintailError('rejected', `there is no connection ${move.connection.id}`)
    return user
  }

  #reach(server: string): TrueServer {
    const found = this.servers.get(server)
    if (!found || found.gone) throw new PintailError('rejected', `there is no server ${server}`)
    if (!found.alive) throw new PintailError('unavailable', `server ${server} does not answer the panel`)
    return found
  }

  /** The effect of a move on the panel's books and on the server. */
  #grant({ move }: InFlight, half = false): void {
    this.#admit(move)
    const user = this.#userOf(move)
    const to: string = move.to.id
    const { home } = user
    if (this.refusing.has(user.id)) throw new PintailError('rejected', `${to} does not want ${user.id}`)
    this.#reach(to)
    // The host has moved him in the meantime, perhaps back from where this key had brought him: its word stands.
    if (home !== to && (home !== move.from.id || this.#done.has(move.key))) throw new PintailError('rejected', `it is on ${home} now`)
    if (this.#done.has(move.key) || home === to) return
    if (!user.grants.has(to)) user.grants.set(to, move.key)
    if (half) {
      user.hidden.add(to)
      throw new Error('the panel broke down half-way')
    }
    this.rehome(user, to)
    user.hidden.delete(to)
    const prefers = this.preferences.get(user.id) ?? []
    this.preferences.set(user.id, prefers.slice(prefers.indexOf(to) + 1 || 1))
    this.#done.add(move.key)
    this.judge.granted(move, user)
  }

  mover(process: Process): ConnectionMover {
    const { panel, policy } = this.setup
    const timeoutMs = policy.migration?.timeoutMs ?? 20_000
    const has = (method: (typeof panel.has)[number]): boolean => panel.has.includes(method)
    const call = <T>(name: MoverCall, move: Move | null, work: () => Promise<T>): Promise<T> =>
      process.call(() => {
        this.onCall(name, move)
        // A move is booked as under way first, whatever becomes of it.
        return name === 'move' ? work() : (this.between(name, move, work) as Promise<T>)
      }, name)
    const mover: ConnectionMover = {
      confirmation: panel.confirmation,
      fencing: panel.fencing,
      move: (move) =>
        call('move', move, async () => {
          const flight: InFlight = { move, process }
          this.judge.moveStarted(process, move)
          this.inFlight.add(flight)
          try {
            await this.between('move', move, () => this.#move(flight, timeoutMs))
            return { server: move.to.id, profile: `${move.connection.id} at ${move.to.id}` }
          } finally {
            this.inFlight.delete(flight)
          }
        }),
    }
    if (has('prepare'))
      mover.prepare = (_from, to) =>
        call('prepare', null, async () => {
          await this.#latency(5, 100)
          if (this.unprepared.has(to.id)) throw new PintailError('rejected', 'no room on disk')
          if (this.strikes('mover.fails_prepare'))
            throw new PintailError(this.share === null && this.random() < 0.3 ? 'rejected' : 'unavailable', 'no room on disk')
          this.#reach(to.id)
        })
    if (has('complete'))
      mover.complete = (move) =>
        call('complete', move, async () => {
          this.judge.mayCall(process, `takes ${move.connection.id} off ${move.from.id}`)
          await this.#latency(5, 100)
          if (this.strikes('mover.fails_complete')) throw new Error('could not revoke')
          const user = this.users.get(move.connection.id)
          if (!user || user.gone) return
          this.#admit(move)
          const from = this.servers.get(move.from.id)
          if (from && !from.gone && !from.alive) throw new PintailError('unavailable', `server ${from.id} does not answer the panel`)
          this.judge.revoked(move, user)
          user.grants.delete(move.from.id)
        })
    if (has('locate'))
      mover.locate = (move) =>
        call('locate', move, async (): Promise<Located> => {
          await this.#latency(5, 100)
          if (this.strikes('mover.fails_locate')) throw new Error('could not look')
          const user = this.users.get(move.connection.id)
          if (!user || user.gone) return 'absent'
          if (user.home === move.to.id) return user.grants.has(move.from.id) ? 'on_both' : 'on_target'
          this.judge.notOnTarget(move)
          return user.home === move.from.id ? 'on_source' : 'absent'
        })
    if (has('verify'))
      mover.verify = (move) =>
        call('verify', move, async () => {
          await this.#latency(5, 100)
          if (this.strikes('mover.fails_verify')) return false
          const user = this.users.get(move.connection.id)
          return (
            user !== undefined && user.home === move.to.id && user.grants.has(move.to.id) && this.servers.get(move.to.id)?.alive === true
          )
        })
    if (has('rollback'))
      mover.rollback = (move) =>
        call('rollback', move, async () => {
          this.judge.mayCall(process, `rolls ${move.connection.id} back`)
          await this.#latency(5, 100)
          this.judge.rollbackAsked(move)
          if (this.strikes('mover.fails_rollback')) throw new Error('could not undo')
          const user = this.users.get(move.connection.id)
          if (!user || user.gone) return void this.judge.rolledBack(move, null)
          this.judge.undoing(move, user)
          this.#admit(move)
          const to = this.servers.get(move.to.id)
          if (to && !to.gone && !to.alive) throw new PintailError('unavailable', `server ${to.id} does not answer the panel`)
          this.judge.rolledBack(move, user)
          user.grants.delete(move.to.id)
          user.hidden.delete(move.to.id)
          if (user.home !== move.to.id) return
          this.rehome(user, move.from.id)
          if (!user.grants.has(move.from.id)) user.grants.set(move.from.id, move.key)
        })
    return mover
  }

  async #move(flight: InFlight, timeoutMs: number): Promise<void> {
    const { move } = flight
    const failure = this.failures.get(`${move.connection.id} ${move.to.id}`)
    if (failure && failure.calls-- > 0) {
      await this.#latency(5, 50)
      throw failure.how === 'unclear' ? new Error('failed as recorded') : new PintailError(failure.how, 'failed as recorded')
    }
    if (this.strikes('mover.is_unavailable')) {
      await this.#latency(5, 50)
      throw new PintailError('unavailable', 'the panel is restarting')
    }
    if (this.strikes('mover.fails_unclearly')) {
      await this.#latency(5, 50)
      throw new Error('socket hang up')
    }
    if (this.strikes('mover.hangs')) {
      this.inFlight.delete(flight)
      await this.wait(timeoutMs * 3)
      throw new Error('socket hang up')
    }
    if (this.strikes('mover.lies')) {
      await this.#latency(5, 50)
      this.judge.lied(move)
      return
    }
    if (this.strikes('mover.arrives_late')) {
      // The caller has given up; the network has not. Nobody can keep a place for what he knows nothing of.
      this.inFlight.delete(flight)
      await this.wait(timeoutMs * (1 + this.random() * 0.9))
      this.judge.arrivedLate(move)
      this.#grant(flight)
      return
    }
    await this.#latency(5, this.setup.panel.latencyMs)
    this.#grant(flight, this.strikes('mover.fails_halfway'))
    if (this.strikes('mover.duplicates')) {
      void this.wait(this.random() * timeoutMs).then(() => {
        try {
          this.#grant(flight)
        } catch {
          // Nobody waits for the answer to a copy.
        }
      })
    }
    if (!this.strikes('mover.times_out_after_success')) return
    this.inFlight.delete(flight)
    await this.wait(timeoutMs * 3)
  }

  // ------------------------------------------------------------------------------------------------- prober, store, rest

  prober(process: Process): Prober {
    return {
      name: 'world',
      probe: ({ serverId, packets, timeoutMs }) =>
        process.call(async () => {
          this.calls++
          if (this.strikes('prober.fails')) throw new PintailError('prober_unavailable', 'no permission')
          const server = this.servers.get(serverId)
          const isCanary = serverId.startsWith('canary:')
          const reaches =
            !this.blind &&
            (isCanary ? this.canariesLostAt === null : true) &&
            (isCanary || (server?.alive === true && !server.gone && server.reachable))
          const rtt = 20 + (server?.slowMs ?? 0)
          let received = 0
          for (let packet = 0; packet < packets; packet++)
            if (reaches && rtt <= timeoutMs && !(server?.lossy && this.random() < 0.9)) received++
          await this.wait(received === packets ? rtt : timeoutMs)
          const failure = received === 0 ? ({ kind: 'no_reply', layer: 'world' } as const) : null
          return { sent: packets, received, rttMs: Array.from({ length: received }, () => rtt), failure }
        }),
    }
  }

  /** What vantages elsewhere see, as it reaches this process: late, twice, broken or not at all. */
  observations(process: Process): ObservationSource {
    const world = this
    return {
      async *samples({ signal }) {
        const due = new Map(world.setup.vantages?.map(({ name, everyMs }) => [name, world.now + world.random() * everyMs]))
        while (!signal.aborted) {
          await process.call(() => world.wait(1000))
          if (world.strikes('observations.fail')) throw new Error('the broker is gone')
          for (const vantage of world.setup.vantages ?? []) {
            if ((due.get(vantage.name) ?? 0) > world.now) continue
            due.set(vantage.name, world.now + vantage.everyMs)
            if (world.silentVantages.has(vantage.name)) continue
            const samples = world.#look(vantage)
            if (world.strikes('observations.are_late')) await process.call(() => world.wait(world.random() * 150_000))
            yield* samples
            if (world.strikes('observations.are_duplicated')) yield* [...samples, ...world.#nonsense(vantage.name)]
          }
        }
      },
    }
  }

  #look({ name, region }: NonNullable<Setup['vantages']>[number]): SampleInput[] {
    const sentAt = this.clock.now()
    const sample = (serverId: string, reaches: boolean, rtt: number): SampleInput => {
      this.calls++
      const received = reaches && !this.lostVantages.has(name) && rtt <= 3000 ? 1 : 0
      return { serverId, vantage: name, prober: 'world', sentAt, sent: 1, received, rttMs: received ? [rtt] : [] }
    }
    const servers = [...this.servers.values()].filter(({ gone }) => !gone)
    return [
      sample('canary:192.0.2.9', true, 20),
      ...servers.map(({ id, alive, slowMs, lossy, blockedFor }) =>
        sample(id, alive && !(region !== null && blockedFor.has(region)) && !(lossy && this.random() < 0.9), 30 + slowMs),
      ),
    ]
  }

  /** What comes out of a broken queue. */
  #nonsense(vantage: string): SampleInput[] {
    const good = { serverId: '1', vantage, prober: 'world', sentAt: this.clock.now(), sent: 1, received: 0 }
    return [
      { ...good, sentAt: Number.NaN },
      { ...good, received: 2 },
      { ...good, sent: -1 },
      { ...good, serverId: 'nobody' },
      { ...good, vantage: 'nowhere' },
      { ...good, vantage: 'local' },
      { ...good, sentAt: good.sentAt + 3_600_000 },
      { ...good, sentAt: good.sentAt - 3_600_000 },
      null as never,
    ]
  }

  storeFor(process: Process): MigrationStore {
    const { store } = this
    const { find } = store
    const slow = async (): Promise<void> => {
      await this.#latency(0.5, 4)
      if (this.strikes('store.stalls', 0.5)) await this.wait(500 + this.random() * 15_000)
      if (this.strikes('store.fails', 0.6)) throw new PintailError('unavailable', 'the database is starting up')
    }
    const ctx = { signal: new AbortController().signal }
    return {
      name: store.name,
      commit: (batch) =>
        process.call(async () => {
          await slow()
          const { lastSeq } = await store.commit(batch, ctx)
          // What comes a second time is answered, and not kept again.
          const last = this.#lastBatch
          if (batch.token < last.token || (batch.token === last.token && batch.batch <= last.batch)) return { lastSeq }
          this.#lastBatch = batch
          this.judge.committed(batch)
          for (const { kind, value } of batch.writes)
            if (kind === 'migration' && value !== null) this.onPhase((value as { readonly status: string }).status)
            else if (kind === 'incident' && value !== null && (value as { readonly status: string }).status !== 'open')
              this.onPhase((value as { readonly status: string }).status === 'recovered' ? 'recovering' : 'closed')
          if (this.strikes('store.fails_after_writing', 0.6)) throw new Error('connection reset')
          return { lastSeq }
        }),
      get: (kind, id) =>
        process.call(async () => {
          await slow()
          return store.get(kind, id, ctx)
        }),
      list: (kind, filter) =>
        process.call(async () => {
          await slow()
          return rowsOf(store.list(kind, filter, ctx)) as Promise<never[]>
        }),
      readJournal: (query) =>
        process.call(async () => {
          await slow()
          return store.readJournal(query, ctx)
        }),
      ...(this.setup.engines > 1 && {
        post: (one: MemberPost) =>
          process.call(async () => {
            await slow()
            return store.post?.(one, ctx)
          }),
        posts: (after: Readonly<Record<string, number>>) =>
          process.call(async () => {
            await slow()
            return (await store.posts?.(after, ctx)) ?? []
          }),
      }),
      // One world in four has a store of somebody else, which can only be read whole.
      ...(find && this.setup.seed % 4 !== 0 && { find: (kind, query) => process.call(() => slow().then(() => find(kind, query, ctx))) }),
    }
  }

  leases(process: Process): LeaseStore {
    const { lease } = this
    const slow = async (): Promise<void> => {
      await this.#latency(0.5, 4)
      if (this.strikes('leases.fail', 0.8)) throw new Error('no connection')
    }
    return {
      acquire: (holder, ttlMs) =>
        process.call(async () => {
          await slow()
          const isTaken = lease.until > this.now && (this.leaseLost || (lease.holder !== null && lease.holder !== holder))
          if (isTaken) return null
          this.leaseLost = false
          lease.holder = holder
          lease.token++
          lease.until = this.now + ttlMs
          this.judge.leads(process, holder, lease.token)
          return { token: lease.token as Token, holder, ttlMs }
        }),
      renew: ({ holder, token, ttlMs }) =>
        process.call(async () => {
          await slow()
          if (this.leaseLost || lease.holder !== holder || lease.token !== token || lease.until <= this.now) return false
          lease.until = this.now + ttlMs
          return true
        }),
      release: ({ holder, token }) =>
        process.call(async () => {
          await slow()
          if (lease.holder === holder && lease.token === token && !this.leaseLost) lease.holder = null
        }),
    }
  }

  guards(process: Process): GuardSource {
    return {
      current: () =>
        process.call(async () => {
          await this.#latency(1, 50)
          if (this.strikes('guards.fail')) {
            await this.wait(this.random() * 20_000)
            throw new Error('no such host')
          }
          const active = this.strikes('guards.forbid', 1)
          const said = [...this.forbidden.values()]
          this.judge.forbade(process, active || said.some(({ forbids, servers }) => !forbids && !servers))
          return [{ name: 'scaling', active, message: 'the fleet is scaling' }, ...said]
        }),
    }
  }

  notifier(process: Process): ClientNotifier {
    return {
      deliver: (move, access) =>
        process.call(async () => {
          this.onCall('deliver', move)
          await this.#latency(5, 200)
          if (this.strikes('notifier.fails')) throw new Error('no route to the client')
          this.judge.delivered(move)
          this.onDelivery(move, access)
        }, 'deliver'),
    }
  }

  log(process: Process): LogSink {
    return {
      write: (entry) =>
        process.call(async () => {
          if (this.strikes('log.fails', 0.8)) throw new Error('disk full')
          this.logged.add(entry.id)
        }),
    }
  }
}

/** All rows of a list, which a store may give in pages. */
async function rowsOf(listing: Listing<unknown>): Promise<readonly unknown[]> {
  if ('then' in listing) return listing
  const rows: unknown[] = []
  for await (const page of listing) rows.push(...page)
  return rows
}
