import { isTerminal, transitions } from '../../decide/migration.ts'
import type { PauseTarget } from '../../index.ts'
import type { ConnectionInput, ServerInput, StoreWrite } from '../../ports.ts'
import type {
  DecisionRecord,
  Evacuation,
  Incident,
  Migration,
  MigrationStatus,
  Move,
  MoveRecord,
  PendingRevoke,
  Plan,
  PolicyInput,
  ServerStatus,
} from '../../vocabulary.ts'
import type { Invariant, Violation } from './kinds.ts'
import type { Process } from './process.ts'
import { secret } from './setup.ts'
import type { TrueServer, TrueUser, Witness, World } from './world.ts'

/** What one engine was last told about a server, and when that was true. */
interface Told {
  readonly at: number
  readonly load: number | null
  readonly capacity: number | null
  readonly status: string | null
  /** Who is known to be counted in that load; of a stale number nobody. */
  readonly users: ReadonlySet<string>
}

interface Trip {
  readonly from: string
  readonly to: string
  readonly at: number
  readonly key: string
  readonly isOptional: boolean
}

interface Grant {
  readonly user: string
  readonly at: number
}

/**
 * The simulator's own book: who really is where, which grants exist, what was promised to whom. It reads what engines
 * keep in the store and what they ask of the panel, and never asks an engine.
 */
export class Judge implements Witness {
  readonly violations: Violation[] = []
  readonly migrations = new Map<string, Migration>()
  readonly evacuations = new Map<string, Evacuation>()
  readonly incidents = new Map<string, Incident>()
  readonly decisions = new Map<string, DecisionRecord>()
  readonly moves = new Map<string, MoveRecord>()
  readonly revokes = new Map<string, PendingRevoke>()
  readonly cancelled = new Set<string>()
  readonly cordoned = new Set<string>()
  readonly paused = new Map<string, PauseTarget>()
  moved = 0
  /** Evacuations that were made of advice. */
  advised = 0
  /** A list of servers or of connections was not what is true. */
  wasMisled = false
  /** When the last move had its effect: its place is kept until the next list. */
  lastMoveAt = 0
  readonly #world: World
  readonly #told = new Map<Process, Map<string, Told>>()
  /** Who was in the newest list of a server's connections, right or wrong. */
  readonly #lastRows = new Map<string, ReadonlySet<string>>()
  /** When the newest honest server list reached a process. */
  readonly #listedAt = new Map<Process, number>()
  readonly #holders = new Map<Process, string>()
  readonly #tokens = new Map<Process, number>()
  readonly #ledAt = new Map<Process, number>()
  readonly #started = new Map<string, number>()
  /** The key of each move that is not undone. */
  readonly #keys = new Map<string, string>()
  /** Keys whose rollback was asked for. */
  readonly #rollbacks = new Set<string>()
  readonly #recovered = new Set<string>()
  readonly #forbade = new Map<Process, number>()
  readonly #delivered = new Set<string>()
  readonly #arrivals = new Map<string, number[]>()
  readonly #grants = new Map<string, Grant[]>()
  readonly #trips = new Map<string, Trip[]>()
  readonly #falsely = new Map<string, string>()
  readonly #seen = new Set<string>()

  constructor(world: World) {
    this.#world = world
  }

  report(invariant: Invariant, message: string): void {
    // The same thing again tells nothing new.
    const key = `${invariant}: ${message.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'id')}`
    if (this.#seen.has(key) || this.violations.length >= 20) return
    this.#seen.add(key)
    this.violations.push({ invariant, at: Math.round(this.#world.now), message })
  }

  // ------------------------------------------------------------------------------------------------------ what was told

  listed(process: Process, rows: readonly ServerInput[], at: number, isHonest: boolean): void {
    const told = this.#told.get(process) ?? new Map<string, Told>()
    this.#told.set(process, told)
    if (!isHonest) this.wasMisled = true
    // What a frozen process is told it hears later.
    if (isHonest && !process.frozen) this.#listedAt.set(process, at)
    if (rows.length > 0) for (const id of told.keys()) if (!rows.some((row) => String(row.id) === id)) this.#lost.add(id)
    for (const { id, load = null, capacity = null, status = null } of rows) {
      const users = new Set(isHonest ? this.#world.on(String(id)).map((user) => user.id) : [])
      // Where no load is told, the newest count of connections stands.
      const { at: countedAt = at, load: count = null, users: counted = users } = told.get(String(id)) ?? {}
      // An answer that comes after the one to a later question was given up long ago.
      if (countedAt > at && told.has(String(id))) continue
      const heard = { capacity, status }
      told.set(String(id), load === null ? { ...heard, at: countedAt, load: count, users: counted } : { ...heard, at, load, users })
    }
  }

  counted(process: Process, server: string, rows: readonly ConnectionInput[], at: number): void {
    this.#lastRows.set(server, new Set(rows.map(({ id }) => String(id))))
    if (rows.length < this.#world.on(server).length) this.wasMisled = true
    const told = this.#told.get(process)?.get(server)
    if (!told || this.#world.setup.registry.tellsLoad) return
    this.#told.get(process)?.set(server, { ...told, at, load: rows.length, users: this.#lastRows.get(server) ?? new Set() })
  }

  leads(process: Process, holder: string, token: number): void {
    this.#holders.set(process, holder)
    this.#tokens.set(process, token)
    this.#ledAt.set(process, this.#world.now)
  }

  // ----------------------------------------------------------------------------------------------------------- the panel

  /** To be called of each call that changes something, when it starts. */
  mayCall(process: Process, what: string): void {
    const { now, setup, lease } = this.#world
    // Where targets enforce fencing it is they who refuse a late call.
    const timeoutMs = setup.panel.fencing === 'enforced' ? 0 : (setup.policy.migration?.timeoutMs ?? 20_000)
    if (lease.holder !== this.#holders.get(process) || lease.until - now < timeoutMs)
      this.report('I3', `${process.name} ${what} with a lease that does not outlive the call`)
  }

  moveStarted(process: Process, move: Move): void {
    const world = this.#world
    const { now, setup } = world
    const { from, to, connection, key } = move
    const record = key.slice(0, key.lastIndexOf('/'))
    const migrationId = key.slice(0, key.indexOf('/'))
    const who = `${connection.id} from ${from.id} to ${to.id}`
    this.mayCall(process, `moves ${who}`)
    const known = this.#keys.get(record)
    if (known !== undefined && known !== key) this.report('I4', `${who} is repeated with the key ${key} while ${known} is not undone`)
    this.#keys.set(record, key)
    if (String(from.id) === String(to.id)) this.report('I1', `${who}: onto the server that he is on`)
    if (connection.mobility === 'pinned') this.report('I14', `${who}: he is pinned`)
    const state = this.moves.get(record)?.state
    if (state?.state !== 'moving') this.report('I4', `${who} is started without an intent in the store (${state?.state ?? 'no record'})`)

    for (const other of world.inFlight)
      if (other.process === process && other.move.connection.id === connection.id && other.move.key !== key)
        this.report('I4', `${who} starts while ${other.move.key} of the same user is under way`)
    if (setup.panel.fencing === 'enforced' && move.fencingToken !== this.#tokens.get(process))
      this.report('I3', `${who} carries the token ${move.fencingToken}, not ${this.#tokens.get(process)}`)

    this.#roomFor(process, move)
    if (this.#started.has(key)) return
    this.#started.set(key, now)
    const { rates } = setup.policy.migration ?? {}
    // Calls of a former process are in its own time; a term begins with empty buckets.
    this.#paced(`to ${to.id}`, rates?.perTarget)
    this.#paced(`off ${from.id}`, rates?.perSource)
    this.#paced('in all', rates?.overall)
    const since = this.#forbade.get(process)
    const isOptional = ['maintenance', 'failback', 'rebalancing', 'cost-optimization'].includes(move.reason)
    // A source that has failed meanwhile is no option any more.
    const hasFailed = [...this.incidents.values()].some(
      ({ serverId, audience, status }) => serverId === from.id && status === 'open' && !audience,
    )
    if (isOptional && !hasFailed && since !== undefined && since < now)
      this.report('I14', `${who} starts although the host forbids ${move.reason}`)
    const migration = this.migrations.get(migrationId)
    const evacuation = migration && this.evacuations.get(migration.evacuationId)
    if (evacuation?.incidentId && this.#recovered.has(evacuation.incidentId))
      this.report('I9', `${who} starts after the recovery of ${from.id}`)
    for (const scope of ['all', from.id, evacuation?.id, migrationId])
      if (scope !== undefined && this.paused.has(scope)) this.report('I14', `${who} starts although an operator has paused ${scope}`)
    this.#audience(move, evacuation?.audience ?? null)
    this.#blindly(process, who)
    if (this.cordoned.has(to.id)) this.report('I14', `${who} starts although an operator has cordoned ${to.id}`)
    for (const id of [evacuation?.id, migrationId])
      if (id !== undefined && this.cancelled.has(id)) this.report('I14', `${who} starts although an operator has cancelled ${id}`)
  }

  /** What is down for some is no reason to move others, and nobody is sent to what is known to be down for him. */
  #audience({ connection, from, to, key }: Move, audience: string | null): void {
    const world = this.#world
    const user = world.users.get(connection.id)
    const own = user ? world.audienceOf(user) : null
    if (audience !== null && own !== audience)
      this.report('I5', `${connection.id} of audience ${own} is moved off ${from.id}, which is down for ${audience} alone`)
    const intent = this.moves.get(key.slice(0, key.lastIndexOf('/')))?.state
    const since = intent?.state === 'moving' ? intent.since : 0
    for (const incident of this.incidents.values())
      if (
        incident.status === 'open' &&
        incident.serverId === to.id &&
        incident.audience &&
        incident.audience === own &&
        since > incident.openedAt + 1000
      )
        this.report('I5', `${connection.id} of region ${own} is moved to ${to.id}, which is down for that region`)
  }

  /** While no canary answers nothing is moved, as soon as each has been asked. */
  #blindly(process: Process, who: string): void {
    const { canariesLostAt, now, setup } = this.#world
    const { canaries = [], checkIntervalMs = 5000 } = setup.policy.detect ?? {}
    if (canaries.length === 0 || canariesLostAt === null || process.wasFrozen) return
    const since = Math.max(canariesLostAt, this.#ledAt.get(process) ?? now)
    if (now - since > 1.2 * checkIntervalMs + 4000 + this.skewMs)
      this.report('I5', `${who} starts though no canary has answered for ${Math.round((now - canariesLostAt) / 1000)} s`)
  }

  /** I2 by what this engine has been told, and by the grants that it has made since. */
  #roomFor(process: Process, { to, connection, reason }: Move): void {
    const world = this.#world
    const told = this.#told.get(process)?.get(to.id)
    if (!told || told.capacity === null || told.load === null) return
    // What is told in this very moment nobody has read yet.
    if (told.at >= world.now - 1) return
    // Somebody who is there already takes no new place.
    if (world.users.get(connection.id)?.home === to.id) return
    const ours = new Set<string>([connection.id])
    for (const { user, at } of this.#grants.get(to.id) ?? []) if (at > told.at && world.users.get(user)?.home === to.id) ours.add(user)
    for (const { move } of world.inFlight)
      if (move.to.id === to.id && world.users.get(move.connection.id)?.home !== to.id) ours.add(move.connection.id)
    const headroom = world.setup.policy.placement?.hostHeadroom ?? 0
    // Whoever was there when they were counted, and is tried once more, needs one place, not two.
    const coming = [...ours].filter((id) => !told.users.has(id)).length
    if (told.load + coming + headroom > told.capacity)
      this.report(
        'I2',
        `${connection.id} is moved to ${to.id}: ${told.load} there, ${coming} of ours on the way, capacity ${told.capacity}, headroom ${headroom}`,
      )
    const { fillLimit = 0.9 } = world.setup.policy.placement ?? {}
    const isAdvised = reason === 'cost-optimization' || reason === 'rebalancing'
    if (isAdvised && told.load + coming + headroom > Math.floor(told.capacity * fillLimit + 1e-9))
      this.report(
        'advice',
        `${connection.id} is moved to ${to.id} for ${reason}: ${told.load} there, ${coming} of ours on the way, of ${told.capacity}`,
      )
  }

  /** I6: what was shown is what is done, for all who are still there and whom nothing else moves. */
  executed(plan: Plan, made: readonly Migration[]): void {
    const mine = new Set(made.map(({ id }) => id))
    const target = new Map(made.map(({ id, toServerId }) => [id, toServerId]))
    const done = new Map<string, string>()
    const others = new Set<string>()
    for (const { migrationId, connection } of this.moves.values()) {
      if (mine.has(migrationId)) done.set(connection.id, target.get(migrationId) ?? '')
      else others.add(connection.id)
    }
    for (const { fromServerId, toServerId, connections } of plan.placements) {
      for (const { id } of connections) {
        if (done.get(id) === toServerId) continue
        // Who was not listed any more has left, and who was moved by anything else may have been claimed by it.
        if (!done.has(id) && (!this.#lastRows.get(fromServerId)?.has(id) || others.has(id))) continue
        this.report('I6', `${id} was planned for ${toServerId}, and is sent to ${done.get(id) ?? 'nobody'}`)
      }
    }
  }

  /** Whether anything but this migration has moved a user since then. */
  hasMovedSince(user: string, since: number, migration: string): boolean {
    return (this.#trips.get(user) ?? []).some(({ at, key }) => at > since && !key.startsWith(`${migration}/`))
  }

  granted({ from, to, key, reason }: Move, user: TrueUser): void {
    const { now } = this.#world
    this.moved++
    this.lastMoveAt = this.#world.now
    const grants = this.#grants.get(to.id) ?? []
    this.#grants.set(to.id, grants)
    grants.push({ user: user.id, at: now })
    const trips = this.#trips.get(user.id) ?? []
    this.#trips.set(user.id, trips)
    trips.push({
      from: from.id,
      to: to.id,
      at: now,
      key,
      isOptional: reason === 'failback' && this.migrations.get(key.slice(0, key.indexOf('/')))?.triggeredBy === 'system',
    })
    const hour = trips.filter(({ at }) => at > now - 3_600_000)
    // Whoever leaves a dead server has no choice; whoever is brought back has.
    const returns = hour.filter((trip) => trip.isOptional && trip.to === to.id).length
    if (reason === 'failback' && returns > 1)
      this.report(
        'I10',
        `${user.id} has come back twice within an hour: ${hour.map((trip) => `${trip.from}→${trip.to}`).join(', ')} (${key})`,
      )
  }

  revoked(move: Move, user: TrueUser): void {
    const world = this.#world
    const { from, to } = move
    const record = this.moves.get(move.key.slice(0, move.key.lastIndexOf('/')))
    if (!user.grants.has(from.id)) return
    const waitsMs = world.setup.policy.migration?.revokeGraceMs ?? 0
    const isUntold = world.setup.notifier && move.sourceAlive && !this.#delivered.has(move.key)
    if (
      isUntold &&
      waitsMs >= 60_000 &&
      user.touchedAt <= 0 &&
      record?.state.state === 'moved' &&
      world.now < record.state.at - world.startedAt + waitsMs - this.skewMs
    )
      this.report('I1', `${user.id} has not been told of ${to.id}, and ${from.id} is taken back`)
    if (user.home === from.id) {
      if (user.touchedAt < world.now - 60_000) this.report('I1', `${user.id} loses his home ${from.id}: the grant is taken back there`)
      return
    }
    if (!user.grants.has(user.home) && user.touchedAt < (record ? startOf(record) : 0) - world.startedAt - this.skewMs)
      this.report('I1', `${user.id} is left without any grant: ${from.id} is taken back, ${to.id} was never given`)
    const migration = record && this.migrations.get(record.migrationId)
    const source = world.servers.get(from.id)
    if (!migration || !source || source.gone || record?.state.state !== 'moved') return
    const grace = world.setup.policy.migration?.revokeGraceMs ?? 86_400_000
    const lived =
      !this.#wasUnreachable.has(from.id) &&
      world.wellSince(source, migration.createdAt - world.startedAt - 60_000) &&
      (migration.reason !== 'server-down' || Boolean(this.evacuations.get(migration.evacuationId)?.audience))
    // Clocks of engines may have jumped ahead.
    if (lived && world.setup.panel.confirmation !== 'seen' && world.now < record.state.at - world.startedAt + grace - this.skewMs)
      this.report('I1', `${user.id}: the grant on the living ${from.id} is taken back before the grace is over`)
  }

  /** Whether the prober has ever lost its whole network. */
  wasBlind = false

  /** How far the clock of an engine may be from ours. */
  skewMs = 1

  rollbackAsked(move: Move): void {
    this.#rollbacks.add(move.key)
  }

  /** The panel has said that he is not on the target: after a rollback without an answer that is its answer. */
  notOnTarget(move: Move): void {
    const id = move.key.slice(0, move.key.lastIndexOf('/'))
    const isAnswer = this.#world.setup.panel.fencing === 'enforced' && this.#rollbacks.has(move.key)
    if (isAnswer && this.#keys.get(id) === move.key) this.#keys.delete(id)
  }

  rolledBack(move: Move, user: TrueUser | null): void {
    const id = move.key.slice(0, move.key.lastIndexOf('/'))
    if (this.#keys.get(id) === move.key) this.#keys.delete(id)
    if (!user) return
    // What is undone was no trip.
    const trips = this.#trips.get(user.id)
    if (user.home === move.to.id && trips?.at(-1)?.to === move.to.id) trips.pop()
  }

  /** What the host says about the optional reasons, as this engine has been told. */
  forbade(process: Process, active: boolean): void {
    if (!active) this.#forbade.delete(process)
    else if (!this.#forbade.has(process)) this.#forbade.set(process, this.#world.now)
  }

  /** Somebody is to be brought back: never to a server that is known to be dead. */
  undoing(move: Move, user: TrueUser): void {
    const world = this.#world
    const state = this.moves.get(move.key.slice(0, move.key.lastIndexOf('/')))?.state.state
    const source = world.servers.get(move.from.id)
    const isKnown = [...this.incidents.values()].some(({ serverId, status }) => serverId === move.from.id && status === 'open')
    if (state === 'undoing' && source && !source.alive && isKnown && user.home === move.to.id)
      this.report('I7', `${user.id} is to be brought back to ${move.from.id}, which is dead`)
  }

  delivered({ key }: Move): void {
    this.#delivered.add(key)
  }

  /** I11: in no span of time do more arrive than its rate and its burst admit. */
  #paced(what: string, rate: { readonly perSecond: number; readonly burst: number } | null | undefined): void {
    if (!rate) return
    const { now } = this.#world
    const times = this.#arrivals.get(what) ?? []
    this.#arrivals.set(what, times)
    times.push(now)
    for (let first = times.length - 1; first >= Math.max(0, times.length - 200); first--) {
      const many = times.length - first
      const most = rate.burst + (rate.perSecond * (now - (times[first] as number) + this.skewMs)) / 1000
      if (many > most + 1e-6)
        return void this.report(
          'I11',
          `${many} moves ${what} within ${Math.round(now - (times[first] as number))} ms; the rate admits ${most.toFixed(1)}`,
        )
    }
  }

  lied({ connection }: Move): void {
    const user = this.#world.users.get(connection.id)
    // Nobody can see through this without a way to look.
    if (user && !this.#world.setup.panel.has.includes('verify')) user.touchedAt = Number.POSITIVE_INFINITY
  }

  arrivedLate({ connection, from, to }: Move): void {
    const { fencing, has } = this.#world.setup.panel
    // Where it can be seen and taken back, or refused, it must be.
    const isRepaired = has.includes('rollback') && (fencing === 'enforced' || has.includes('locate'))
    if (!isRepaired) for (const { id } of [from, to]) this.#world.users.get(connection.id)?.hidden.add(id)
  }

  statusWritten(process: Process, server: TrueServer, status: ServerStatus): void {
    const isDown = [...this.incidents.values()].some(
      ({ serverId, audience, status: state }) => serverId === server.id && !audience && state === 'open',
    )
    if (status === 'offline' && !isDown) this.report('I14', `${server.id} is set offline, and is not down for everybody`)
    const seenAt = this.#listedAt.get(process) ?? 0
    if (server.statusBy !== 'operator' || server.statusAt > seenAt || server.status === status) return
    // A registry that has gone back to what was before his word is believed: nobody could know better.
    if (this.#told.get(process)?.get(server.id)?.status !== server.status) return
    // With this policy he has left it to us; what must stay out of service is cordoned or in maintenance.
    const isLeftToUs = this.#world.setup.policy.failback?.adoptInactive === true && !this.cordoned.has(server.id)
    if (isLeftToUs && server.status === 'offline' && status === 'online') return
    this.report('I14', `the status ${server.status} of ${server.id}, set by an operator, is overwritten with ${status}`)
  }

  // ----------------------------------------------------------------------------------------------------------- the store

  committed(batch: { readonly writes: readonly StoreWrite[]; readonly journal: readonly object[] }): void {
    for (const entry of batch.journal)
      if (this.#world.setup.rudeListeners && JSON.stringify(entry).includes(secret)) this.report('I13', 'a secret is in the journal')
    // Decisions first: a migration of the same commit rests on one.
    for (const write of batch.writes) if (write.kind === 'decision' && write.value) this.decisions.set(write.id, write.value)
    for (const write of batch.writes) {
      switch (write.kind) {
        case 'migration':
          this.#migration(write.id, write.value)
          break
        case 'evacuation':
          if (!write.value) break
          if (!this.evacuations.has(write.id)) this.#advised(write.value)
          this.evacuations.set(write.id, write.value)
          break
        case 'incident':
          if (write.value) this.#incident(write.value)
          break
        case 'move':
          if (write.value) this.moves.set(write.id, write.value)
          else this.moves.delete(write.id)
          break
        case 'word':
          if (write.value?.kind === 'policy') this.#ratio = (write.value.patch as PolicyInput).guards?.massFailureRatio ?? null
          break
        case 'revoke':
          if (write.value) this.revokes.set(write.id, write.value)
          else this.revokes.delete(write.id)
          break
      }
    }
    for (const entry of batch.journal) this.#heard(entry)
  }

  #incident(incident: Incident): void {
    if (incident.status !== 'open') this.#recovered.add(incident.id)
    if (incident.status !== 'open') this.#falsely.delete(incident.id)
    this.incidents.set(incident.id, incident)
  }

  #migration(id: string, migration: Migration | null): void {
    if (!migration) return
    const before = this.migrations.get(id)
    this.migrations.set(id, migration)
    if (!before) {
      this.#why(migration)
      if (migration.reason === 'server-down') this.#rightly(migration)
      return
    }
    if (before.status !== migration.status && !reachable(before.status, migration.status))
      this.report('I4', `migration ${id} goes from ${before.status} to ${migration.status}`)
    if (before.status !== 'failed' && migration.status === 'failed') this.#failed(migration)
  }

  /** The share that an operator has set instead of the world's own. */
  #ratio: number | null = null
  /** What the engine itself has told of its servers, by server and audience: of this leader. */
  readonly #verdicts = new Map<string, string>()
  #heard(entry: { readonly type?: string; readonly data?: object }): void {
    if (entry.type === 'leader.acquired') this.#verdicts.clear()
    // What the list has lost is no part of what is counted.
    if (entry.type === 'server.removed')
      for (const key of this.#verdicts.keys())
        if (key.startsWith(`${(entry.data as { serverId: string }).serverId} `)) this.#verdicts.delete(key)
    if (entry.type === 'decision.made') this.#withinCap(entry.data as DecisionRecord)
    if (entry.type !== 'server.verdict_changed') return
    const { serverId, audience, verdict } = entry.data as { serverId: string; audience: string | null; verdict: string }
    this.#verdicts.set(`${serverId} ${audience ?? ''}`, verdict)
  }

  /** I5: no incident is acted on while more are down or suspect, by the engine's own word, than the cap. */
  #withinCap({ incidentId, reason }: Pick<DecisionRecord, 'incidentId' | 'reason'>): void {
    const incident = incidentId ? this.incidents.get(incidentId) : null
    if (!incident || reason !== 'server-down' || incident.overrideUntil !== null) return
    const world = this.#world
    for (const audience of new Set([null, incident.audience ?? null])) {
      const open = [...this.incidents.values()].filter((one) => one.status === 'open' && (!one.audience || one.audience === audience))
      const ill = [...world.servers.values()].filter(({ id, status, gone }) => {
        const mine = open.filter(({ serverId }) => serverId === id)
        const verdict = this.#verdicts.get(`${id} ${audience ?? ''}`) ?? this.#verdicts.get(`${id} `)
        if (gone || status === 'maintenance' || (status !== 'online' && !mine.some((one) => !one.audience))) return false
        return verdict === 'suspect' || (verdict === 'down' && !mine.some(({ acknowledgedAt }) => acknowledgedAt !== null))
      })
      const cap = Math.max(1, Math.floor((this.#ratio ?? world.setup.policy.guards?.massFailureRatio ?? 0.3) * world.servers.size))
      if (ill.length > cap)
        this.report(
          'I5',
          `${incident.serverId} is evacuated while ${ill.length} servers are down or suspect${audience ? ` for ${audience}` : ''}; the cap is ${cap}`,
        )
    }
  }

  /** Advice begins: it is the only one of its server, all its users have a place, enough stays free, and no region is left empty. */
  #advised({ id, reason, triggeredBy, fromServerIds, unplaced }: Evacuation): void {
    if (triggeredBy !== 'system' || (reason !== 'cost-optimization' && reason !== 'rebalancing')) return
    this.advised++
    const world = this.#world
    const from = fromServerIds[0] as string
    for (const other of this.evacuations.values())
      if (other.endedAt === null && other.cancelledWhy === null && other.fromServerIds.some((one) => fromServerIds.includes(one)))
        this.report('advice', `${reason} of ${from} is begun while evacuation ${other.id} (${other.reason}, ${other.status}) of it is open`)
    if (unplaced.length > 0) this.report('advice', `${reason} of ${from} is begun though ${unplaced.length} users have no place (${id})`)
    const source = world.servers.get(from)
    if (!source || reason !== 'cost-optimization') return
    // A registry that has no statuses tells nobody what an operator has retired.
    const inService = ({ status }: TrueServer): boolean => status === 'online' || !world.setup.registry.setsStatus
    const rest = [...world.servers.values()].filter((one) => one.id !== from && !one.gone && inService(one))
    const { region = null } = source.row
    const isNeeded = [...world.users.values()].some(({ row, gone }) => !gone && row.region === region)
    if (region !== null && isNeeded && !this.wasMisled && !rest.some(({ row }) => row.region === region))
      this.report('advice', `${from} is to be given back, and is the last server of region ${region}`)
    this.#reserved(source, rest)
  }

  /** By what is true, with some room for what has changed since it was listed. */
  #reserved(source: TrueServer, rest: readonly TrueServer[]): void {
    const world = this.#world
    const reserve = world.setup.policy.advice?.reserve ?? 0.3
    if (this.wasMisled || !world.setup.registry.tellsLoad) return
    const freeOn = (servers: readonly TrueServer[]): number => {
      const capacity = servers.reduce((sum, { row }) => sum + row.capacity, 0)
      const load = [source, ...servers].reduce((sum, { id }) => sum + world.on(id).length, 0)
      return capacity === 0 ? 1 : 1 - (load - 6) / capacity
    }
    const steady = rest.filter((server) => world.isWell(server) && server.reachable && !this.cordoned.has(server.id))
    const free = Math.max(freeOn(rest), freeOn(steady))
    if (free < reserve) this.report('advice', `${source.id} is to be given back, and ${Math.floor(100 * free)} % of the rest would be free`)
  }

  #why({ id, decisionId, toServerId, reason }: Migration): void {
    const decision = this.decisions.get(decisionId)
    if (!decision) return void this.report('I8', `migration ${id} has no decision`)
    if (!decision.cohorts.some(({ placed }) => placed.some(({ serverId }) => serverId === toServerId)))
      this.report('I8', `the decision of migration ${id} does not say why ${toServerId}`)
    if (
      reason === 'server-down' &&
      decision.incidentId &&
      (decision.evidence.length === 0 || decision.control === null || decision.guards.length === 0)
    )
      this.report('I8', `the decision of migration ${id} names no samples, no control or no guards`)
  }

  /** I5: whom the prober alone could not reach is evacuated only within the cap. */
  #rightly({ evacuationId, fromServerId }: Migration): void {
    const world = this.#world
    const incidentId = this.evacuations.get(evacuationId)?.incidentId
    const incident = incidentId && this.incidents.get(incidentId)
    const server = world.servers.get(fromServerId)
    if (!incident || !server || server.gone) return
    if (!world.wellSince(server, incident.suspectedAt - world.startedAt - 1000 - this.skewMs)) return
    if (incident.audience) {
      const blockedAt = server.blockedAt.get(incident.audience) ?? Number.NEGATIVE_INFINITY
      const isBlocked = server.blockedFor.has(incident.audience) || blockedAt > world.now - 180_000
      if (!isBlocked) this.report('I5', `${server.id} is evacuated for ${incident.audience}, though it was well and not blocked there`)
      return
    }
    if (server.reachable && !this.#wasUnreachable.has(server.id)) {
      this.report(
        'I5',
        `${server.id} is evacuated though it was well and reachable${world.blind ? ', while the prober had no network' : ''}`,
      )
      return
    }
    this.#falsely.set(incident.id, server.id)
    const servers = [...world.servers.values()].filter(({ gone }) => !gone).length
    const cap = Math.max(1, Math.floor((world.setup.policy.guards?.massFailureRatio ?? 0.3) * servers))
    if (new Set(this.#falsely.values()).size > cap)
      this.report('I5', `${this.#falsely.size} living servers are evacuated at once; the cap is ${cap}`)
  }

  /** Servers that a server list has left out. */
  readonly #lost = new Set<string>()
  readonly #wasUnreachable = new Set<string>()
  unreachable(server: string): void {
    this.#wasUnreachable.add(server)
  }

  /** I7: whoever has not moved has nothing on the target, or is listed. */
  #failed({ id, toServerId, residue, createdAt, connectionsMoved }: Migration): void {
    const target = this.#world.servers.get(toServerId)
    // One user's trouble ends nobody else's move.
    if (
      connectionsMoved > 0 &&
      target &&
      !target.gone &&
      target.reachable &&
      this.#world.wellSince(target, createdAt - this.#world.startedAt - 60_000)
    )
      if (!this.#wasUnreachable.has(toServerId) && !this.#lost.has(toServerId) && !this.wasBlind)
        this.report('I7', `migration ${id} has failed with ${connectionsMoved} moved, though ${toServerId} was well all the time`)
    for (const { connection, state, migrationId } of this.moves.values()) {
      if (migrationId !== id || state.state !== 'failed' || residue.includes(connection.id)) continue
      const user = this.#world.users.get(connection.id)
      if (!user || user.gone || !user.grants.get(toServerId)?.startsWith(id) || user.home === toServerId || user.hidden.has(toServerId))
        continue
      if (user.touchedAt > state.at - this.#world.startedAt - 600_000) continue
      if (this.#owed(user.id).has(toServerId)) continue
      this.report('I7', `migration ${id} has failed; ${user.id} has a grant on ${toServerId} that nobody lists`)
    }
  }

  #owed(user: string): Set<string> {
    const owed = new Set<string>()
    for (const { serverId, move } of this.revokes.values()) if (move.connection.id === user) owed.add(serverId)
    return owed
  }

  // ------------------------------------------------------------------------------------------------------------- the end

  /** At rest: everybody's grants are his home and what is listed. */
  strays(): void {
    const listed = new Map<string, Set<string>>()
    const list = (user: string, server: string) => listed.set(user, (listed.get(user) ?? new Set()).add(server))
    const canRevoke = this.#world.setup.panel.has.includes('complete')
    for (const { serverId, move, effect } of this.revokes.values()) {
      list(move.connection.id, serverId)
      // Whether he is at home here or there is what is still to be found out.
      if (effect === 'rollback') list(move.connection.id, move.from.id)
    }
    // Where such a user is at home is not known: what is listed is that one of the two is too much.
    for (const { residue, fromServerId, toServerId } of this.migrations.values())
      for (const user of residue) {
        list(user, toServerId)
        list(user, fromServerId)
      }
    for (const { connection, migrationId, state } of this.moves.values()) {
      const migration = this.migrations.get(migrationId)
      if (!migration) continue
      if (!isTerminal(migration.status)) {
        list(connection.id, migration.fromServerId)
        list(connection.id, migration.toServerId)
      } else if (!canRevoke && state.state === 'moved') list(connection.id, migration.fromServerId)
    }
    for (const user of this.#world.users.values()) {
      if (user.gone || user.touchedAt === Number.POSITIVE_INFINITY) continue
      for (const server of user.grants.keys())
        if (server !== user.home && user.grants.get(server) !== null && !listed.get(user.id)?.has(server) && !user.hidden.has(server))
          this.report('I7', `${user.id} is at home on ${user.home}, and nobody lists his grant on ${server}`)
        else if (
          server !== user.home &&
          user.grants.get(server) === null &&
          !user.hidden.has(server) &&
          this.#leftBehind(user, server) &&
          !listed.get(user.id)?.has(server)
        )
          this.report('I7', `${user.id} has moved to ${user.home}, and nobody owes his old grant on ${server}`)
    }
  }

  /** Whether it was we who moved him off there, and nobody else has touched him. */
  #leftBehind(user: TrueUser, server: string): boolean {
    const trips = this.#trips.get(user.id) ?? []
    return trips.some(({ from, at }) => from === server && at > user.touchedAt)
  }
}

function startOf({ state }: MoveRecord): number {
  return state.state === 'moved' ? state.startedAt : Number.NEGATIVE_INFINITY
}

/** Several steps may go out in one commit. */
function reachable(from: MigrationStatus, to: MigrationStatus): boolean {
  const seen = new Set<MigrationStatus>([from])
  const queue = [from]
  for (let next = queue.pop(); next; next = queue.pop())
    for (const status of Object.values(transitions[next]) as MigrationStatus[])
      if (!seen.has(status)) {
        seen.add(status)
        queue.push(status)
      }
  return seen.has(to)
}
