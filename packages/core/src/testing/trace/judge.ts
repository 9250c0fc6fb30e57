import { isTerminal, transitions } from '../../decide/migration.ts'
import type { EventType, PintailEvent, PintailEvents } from '../../index.ts'
import type { JournalEntry } from '../../ports.ts'
import type { MigrationStatus } from '../../vocabulary.ts'
import { eventOf } from './entries.ts'
import { type Finding, type TraceRule, traceRules } from './rules.ts'

/** So many findings are kept; what follows the first few is mostly their consequence. */
const mostFindings = 1000
/** A repeated entry is looked for among so many before it. */
const remembered = 500
/** A user goes home once a day; clocks of leaders may differ. */
const homeOnceMs = 23 * 3_600_000

/** A server, or a server for one audience; older journals name none. */
const caseOf = (server: string, audience: string | null | undefined): string => (audience ? `${server} for ${audience}` : server)

/** Entries that may be there twice: of commits that only tell, when the answer to one was lost on the way from the store. */
const onlyTold: ReadonlySet<string> = new Set([
  'server.added',
  'server.removed',
  'server.verdict_changed',
  'server.status_set',
  'server.undamped',
  'guard.denied',
  'leader.acquired',
  // Two grants of one user may be taken back in one moment; they are counted.
  'revoke.settled',
  'vantage.lost',
  'vantage.returned',
])

type MoveStage = 'waiting' | 'started' | 'moved' | 'failed' | 'refused' | 'skipped'

/** One connection's part of a migration. */
interface TracedMove {
  stage: MoveStage
  /** Null: it began before the journal does. */
  attempt: number | null
  key: string
  at: number
}

interface TracedMigration {
  readonly id: string
  /** It began in this journal: nothing of it is unknown. */
  readonly isWhole: boolean
  readonly from: string | null
  readonly to: string | null
  readonly evacuation: string | null
  readonly reason: string | null
  status: MigrationStatus
  readonly moves: Map<string, TracedMove>
}

interface TracedEvacuation {
  readonly id: string
  readonly isWhole: boolean
  readonly incident: string | null
  readonly from: readonly string[]
  readonly reason: string | null
  ended: 'completed' | 'cancelled' | null
  isApproved: boolean
  readonly open: Set<string>
  /** Where its users have been moved to. */
  readonly homes: Map<string, Set<string>>
}

interface TracedIncident {
  readonly server: string
  evacuation: string | null
  isOver: boolean
}

/** A decision and what follows it in the same commit. */
interface Block {
  readonly entry: PintailEvent
  readonly decision: PintailEvents['decision.made']
  created: PintailEvents['evacuation.created'] | null
  migrations: number
  connections: number
}

/**
 * Reads a journal from its beginning to its end, as an auditor does who has nothing else. What is not in the journal
 * (capacities, loads, who was really where) it does not judge. Where entries are missing it says so once, forgets what
 * it knew, and judges what follows as a journal that begins there.
 */
class TraceJudge {
  readonly findings: Finding[] = []
  #entry: PintailEvent | null = null
  /** Whether all entries from the first one on are known. */
  #isWhole = false
  /** The leader's, if it is known, and the highest that was ever seen. */
  #token: number | null = null
  #highest = 0
  #holder = ''
  readonly #lately = new Set<string>()
  #verdicts = new Map<string, string>()
  readonly #dampedUntil = new Map<string, number>()
  readonly #cordoned = new Set<string>()
  readonly #paused = new Map<string, number | null>()
  readonly #incidents = new Map<string, TracedIncident>()
  readonly #incidentOf = new Map<string, string>()
  /** Servers that were judged up since their incident began. */
  readonly #seenUp = new Set<string>()
  readonly #evacuations = new Map<string, TracedEvacuation>()
  readonly #migrations = new Map<string, TracedMigration>()
  /** Which migration a user belongs to until it ends. */
  readonly #claims = new Map<string, string>()
  readonly #homes = new Map<string, string>()
  /** Servers on which grants may be left over, by user: of which migration, and how many at most. */
  readonly #owed = new Map<string, Map<string, { migration: string; many: number }>>()
  readonly #homeward = new Set<string>()
  readonly #cameHome = new Map<string, number>()
  #block: Block | null = null
  #mayContinueBlock = false

  read(entry: JournalEntry): void {
    const event = eventOf(entry)
    const before = this.#entry
    if (before === null) this.#begin(event)
    else if (!this.#follows(before, event)) return
    this.#entry = event
    this.#repeated(event)
    if (event.type !== 'evacuation.created' && event.type !== 'migration.created') this.#closeBlock()
    if (Object.hasOwn(this.#takes, event.type)) this.#takes[event.type]?.(event.data as never, event)
  }

  #report(rule: TraceRule, message: string, { seq, at }: PintailEvent = this.#entry as PintailEvent): void {
    if (this.findings.length < mostFindings) this.findings.push({ rule, invariant: traceRules[rule][0], seq, at, message })
  }

  // --------------------------------------------------------------------------------------------------------- the order

  #begin({ seq }: PintailEvent): void {
    this.#isWhole = seq === 1
    this.#mayContinueBlock = seq !== 1
  }

  /** False: it has been read before, or comes too late to be judged. */
  #follows(before: PintailEvent, event: PintailEvent): boolean {
    if (event.seq === before.seq + 1) return true
    if (event.seq > before.seq) {
      const missing = event.seq - before.seq - 1
      const which = missing === 1 ? `entry ${event.seq - 1} is` : `entries ${before.seq + 1} to ${event.seq - 1} are`
      this.#report('journal.order', `${which} missing before ${event.type}; what follows is judged as if the journal began here`, event)
      this.#forget()
      this.#begin(event)
      return true
    }
    const how = event.seq === before.seq ? 'stands twice' : `comes after entry ${before.seq}`
    this.#report('journal.order', `entry ${event.seq} (${event.type}) ${how}; it is not judged`, event)
    return false
  }

  /** Everything but what can never go back. */
  #forget(): void {
    this.#token = null
    this.#lately.clear()
    this.#block = null
    this.#verdicts = new Map()
    const known = [this.#dampedUntil, this.#cordoned, this.#paused, this.#incidents, this.#incidentOf, this.#seenUp, this.#evacuations]
    for (const one of [...known, this.#migrations, this.#claims, this.#homes, this.#owed, this.#homeward, this.#cameHome]) one.clear()
  }

  #repeated({ at, type, data }: PintailEvent): void {
    if (onlyTold.has(type)) return
    const text = `${at} ${type} ${JSON.stringify(data)}`
    if (this.#lately.has(text)) this.#report('journal.twice', `${type} stands in the journal twice, with two numbers`)
    this.#lately.add(text)
    const [oldest] = this.#lately.size > remembered ? this.#lately : []
    if (oldest !== undefined) this.#lately.delete(oldest)
  }

  // -------------------------------------------------------------------------------------------------------- the entries

  /** What is not named here tells, and changes nothing that is judged. */
  readonly #takes: { readonly [T in EventType]?: (data: PintailEvents[T], event: PintailEvent) => void } = {
    'leader.acquired': (data) => this.#leads(data),
    'server.verdict_changed': (data) => this.#verdict(data),
    'server.damped': ({ serverId, until }) => this.#dampedUntil.set(serverId, until),
    'server.undamped': ({ serverId }) => this.#dampedUntil.delete(serverId),
    // What damps is in the policy, which the journal does not hold.
    'policy.changed': () => this.#dampedUntil.clear(),
    'server.cordoned': ({ serverId }) => this.#cordoned.add(serverId),
    'server.uncordoned': ({ serverId }) => this.#cordoned.delete(serverId),
    'pause.set': ({ scope, until }) => this.#paused.set(scopeKey(scope), until ?? null),
    'pause.lifted': ({ scope }) => this.#paused.delete(scopeKey(scope)),
    'incident.opened': (data) => this.#opened(data),
    'incident.recovered': (data) => this.#over(data),
    'incident.closed': (data) => this.#over(data),
    'failback.changed': ({ evacuationId }) => evacuationId && this.#homeward.add(evacuationId),
    'decision.made': (data, event) => this.#decided(event, data),
    'evacuation.created': (data) => this.#evacuation(data),
    'evacuation.approved': (data) => this.#approved(data),
    'evacuation.completed': (data) => this.#evacuationEnds(data, 'completed'),
    'evacuation.cancelled': (data) => this.#evacuationEnds(data, 'cancelled'),
    'migration.created': (data, event) => this.#migration(event, data),
    'migration.status_changed': (data) => this.#step(data),
    'migration.completed': (data) => this.#completed(data),
    'migration.failed': (data) => this.#failed(data),
    'migration.cancelled': ({ id }) => this.#ended(id, 'cancelled'),
    'migration.deleted': (data) => this.#deleted(data),
    'move.started': (data, event) => this.#started(event, data),
    'connection.moved': (data, event) => this.#moved(event, data),
    'connection.move_failed': (data, event) => this.#moveFailed(event, data),
    'connection.skipped': (data) => this.#skipped(data),
    'revoke.settled': (data) => this.#revoked(data),
  }

  #leads({ token, holder }: PintailEvents['leader.acquired']): void {
    const isAgain = token === this.#token && holder === this.#holder
    if (token < this.#highest || (token === this.#token && !isAgain))
      this.#report('leader.token', `${holder} leads with the token ${token}, after ${this.#highest}`)
    this.#token = token
    this.#highest = Math.max(token, this.#highest)
    this.#holder = holder
    // A new leader sees everything with fresh eyes.
    if (!isAgain) this.#verdicts = new Map()
  }

  #verdict({ serverId, audience, verdict, previous }: PintailEvents['server.verdict_changed']): void {
    const whose = caseOf(serverId, audience)
    this.#verdicts.set(whose, verdict)
    if (verdict === 'up' && previous !== 'up') this.#seenUp.add(whose)
  }

  // --------------------------------------------------------------------------------------------------------- incidents

  #opened({ incidentId, serverId: server, audience }: PintailEvents['incident.opened']): void {
    const serverId = caseOf(server, audience)
    // What is down for everybody is so for each audience, and is told once.
    const verdict = this.#verdicts.get(serverId) ?? this.#verdicts.get(server)
    if (verdict !== 'down' && (verdict !== undefined || this.#isWhole))
      this.#report('incident.verdict', `an incident is opened on ${serverId}, whose verdict is ${verdict ?? 'not told'}`)
    const former = this.#incidentOf.get(serverId)
    const before = former === undefined ? undefined : this.#incidents.get(former)
    if (before && !before.isOver && !this.#seenUp.has(serverId))
      this.#report('incident.single', `an incident is opened on ${serverId}, whose incident ${former} is still open`)
    // It failed again before its status was put back: the former one has ended without a word.
    if (before) before.isOver = true
    this.#seenUp.delete(serverId)
    this.#incidentOf.set(serverId, incidentId)
    this.#incidents.set(incidentId, { server, evacuation: null, isOver: false })
  }

  #over({ incidentId, serverId }: PintailEvents['incident.recovered'] | PintailEvents['incident.closed']): void {
    const incident = this.#incidents.get(incidentId)
    if (!incident && this.#isWhole) this.#report('incident.single', `incident ${incidentId} on ${serverId} ends, and was never opened`)
    if (incident?.isOver) this.#report('incident.single', `incident ${incidentId} on ${serverId} ends a second time`)
    this.#incidents.set(incidentId, { server: serverId, evacuation: incident?.evacuation ?? null, isOver: true })
  }

  // --------------------------------------------------------------------------------------------------------- decisions

  #decided(entry: PintailEvent, decision: PintailEvents['decision.made']): void {
    this.#block = { entry, decision, created: null, migrations: 0, connections: 0 }
    const { incidentId, connections, placed, unplaced } = decision
    if (placed + unplaced !== connections)
      this.#report('decision.figures', `the decision places ${placed} and leaves ${unplaced} of ${connections}`)
    const incident = incidentId === null ? null : this.#incidents.get(incidentId)
    if (incident === undefined && this.#isWhole)
      this.#report('decision.missing', `a decision for incident ${incidentId}, which was never opened`)
    // Its evacuation may have ended: then somebody has been assigned to the dead server since.
    const evacuation = incident?.evacuation ? this.#evacuations.get(incident.evacuation) : undefined
    if (evacuation?.ended === 'completed') evacuation.ended = null
    if (incident?.isOver) this.#report('move.after_recovery', `a decision for incident ${incidentId} of ${incident.server}, which is over`)
  }

  /** All that one decision begins stands together: then its figures can be compared. */
  #closeBlock(): void {
    const block = this.#block
    this.#block = null
    this.#mayContinueBlock = false
    if (!block) return
    const { entry, decision, created, migrations, connections } = block
    const placed = decision.mode === 'observe' ? 0 : decision.placed
    if (connections !== placed)
      this.#report('decision.figures', `the decision places ${placed} connections, and its migrations have ${connections}`, entry)
    if (created && created.migrations !== migrations)
      this.#report(
        'decision.figures',
        `evacuation ${created.evacuationId} names ${created.migrations} migrations, and has ${migrations}`,
        entry,
      )
  }

  #evacuation(data: PintailEvents['evacuation.created']): void {
    const { evacuationId: id, incidentId, fromServerIds, status, connections, unplaced } = data
    const block = this.#block
    const decision = block?.decision ?? null
    if (!block && !this.#mayContinueBlock) this.#report('decision.missing', `evacuation ${id} is begun without a decision`)
    if (decision && (decision.incidentId !== incidentId || decision.mode === 'observe' || block?.created))
      this.#report('decision.missing', `the decision before evacuation ${id} is another one's`)
    if (decision && (decision.connections !== connections || decision.unplaced !== unplaced))
      this.#report(
        'decision.figures',
        `evacuation ${id} has ${connections} connections, ${unplaced} unplaced; its decision ${decision.connections} and ${decision.unplaced}`,
      )
    if (this.#evacuations.has(id)) this.#report('evacuation.end', `evacuation ${id} is begun twice`)
    if (block) block.created = data
    const incident = incidentId === null ? undefined : this.#incidents.get(incidentId)
    if (incident) incident.evacuation = id
    this.#evacuations.set(id, {
      id,
      isWhole: this.#isWhole || block !== null,
      incident: incidentId,
      from: fromServerIds,
      reason: decision?.reason ?? null,
      ended: null,
      isApproved: status === 'running',
      open: new Set(),
      homes: new Map(),
    })
  }

  #approved({ evacuationId: id }: PintailEvents['evacuation.approved']): void {
    const evacuation = this.#evacuationOf(id)
    if (evacuation.ended !== null || (evacuation.isWhole && evacuation.isApproved))
      this.#report('evacuation.end', `evacuation ${id} is approved, and is ${evacuation.ended ?? 'running'} already`)
    evacuation.isApproved = true
  }

  #evacuationEnds(
    { evacuationId: id, moved }: { readonly evacuationId: string; readonly moved: number },
    how: 'completed' | 'cancelled',
  ): void {
    const evacuation = this.#evacuationOf(id)
    const { ended, open, homes, isWhole } = evacuation
    if (ended !== null) this.#report('evacuation.end', `evacuation ${id} is ${how}, and was ${ended} before`)
    if (open.size > 0) this.#report('evacuation.end', `evacuation ${id} is ${how} while migration ${[...open][0]} is open`)
    if (isWhole && homes.size !== moved)
      this.#report('migration.figures', `evacuation ${id} is ${how} with ${moved} moved; its moves tell of ${homes.size}`)
    evacuation.ended = how
    if (how === 'cancelled') homes.clear()
  }

  /** As it is known, or as one that began before the journal does. */
  #evacuationOf(id: string): TracedEvacuation {
    const found = this.#evacuations.get(id)
    if (found) return found
    if (this.#isWhole) this.#report('decision.missing', `evacuation ${id} was never begun`)
    const unknown = { id, isWhole: false, incident: null, from: [], reason: null, ended: null, isApproved: true }
    const evacuation: TracedEvacuation = { ...unknown, open: new Set(), homes: new Map() }
    this.#evacuations.set(id, evacuation)
    return evacuation
  }

  // -------------------------------------------------------------------------------------------------------- migrations

  #migration({ at }: PintailEvent, data: PintailEvents['migration.created']): void {
    const { id, status, fromServerId: from, toServerId: to, evacuationId, reason, connections } = data
    const block = this.#block
    if (!block && !this.#mayContinueBlock)
      this.#report('decision.missing', `migration ${id} from ${from} to ${to} is begun without a decision`)
    if (block && (block.decision.reason !== reason || (block.created && block.created.evacuationId !== evacuationId)))
      this.#report('decision.missing', `the decision before migration ${id} is another one's: its reason is ${block.decision.reason}`)
    const evacuation = this.#evacuationOf(evacuationId)
    if (block && evacuation.isWhole && block.decision.incidentId !== evacuation.incident)
      this.#report('decision.missing', `the decision before migration ${id} is for another incident than its evacuation`)
    if (evacuation.ended !== null)
      this.#report('move.against_word', `migration ${id} is begun in evacuation ${evacuationId}, which is ${evacuation.ended}`)
    if (from === to || (evacuation.isWhole && !evacuation.from.includes(from)))
      this.#report('move.ends', `migration ${id} goes from ${from} to ${to}; its evacuation empties ${evacuation.from.join(', ')}`)
    if (this.#cordoned.has(to)) this.#report('move.against_word', `migration ${id} goes to ${to}, which is cordoned`)
    if ((this.#dampedUntil.get(to) ?? 0) > at) this.#report('target.damped', `migration ${id} goes to ${to}, which is damped`)
    if (status !== 'suggested' && status !== 'scheduled') this.#report('migration.transition', `migration ${id} begins as ${status}`)
    if (this.#migrations.has(id)) this.#report('migration.transition', `migration ${id} is begun twice`)
    if (block) {
      block.migrations++
      block.connections += connections
    }
    evacuation.open.add(id)
    this.#migrations.set(id, { id, isWhole: true, from, to, evacuation: evacuationId, reason, status, moves: new Map() })
  }

  /** As it is known, or as one that began before the journal does, in the state that the entry speaks of. */
  #migrationOf(id: string, status: MigrationStatus): TracedMigration {
    const found = this.#migrations.get(id)
    if (found) return found
    if (this.#isWhole) this.#report('migration.transition', `migration ${id} was never begun`)
    const unknown: TracedMigration = { id, isWhole: false, from: null, to: null, evacuation: null, reason: null, status, moves: new Map() }
    this.#migrations.set(id, unknown)
    return unknown
  }

  #step({ id, oldStatus, newStatus }: PintailEvents['migration.status_changed']): void {
    const migration = this.#migrationOf(id, oldStatus)
    const allowed: readonly string[] = Object.hasOwn(transitions, oldStatus) ? Object.values(transitions[oldStatus]) : []
    if (migration.status !== oldStatus)
      this.#report('migration.transition', `migration ${id} leaves ${oldStatus}, and was ${migration.status}`)
    else if (!allowed.includes(newStatus)) this.#report('migration.transition', `migration ${id} goes from ${oldStatus} to ${newStatus}`)
    migration.status = newStatus
    if (newStatus === 'completing') this.#noneOpen(migration)
    // What had only failed for the time being waits again.
    if (newStatus === 'scheduled')
      for (const move of migration.moves.values()) if (move.stage === 'started' || move.stage === 'failed') move.stage = 'waiting'
    if (Object.hasOwn(transitions, newStatus) && isTerminal(newStatus)) this.#close(migration)
  }

  #noneOpen({ id, moves }: TracedMigration): void {
    const open = [...moves.values()].filter(({ stage }) => stage === 'started')
    if (open[0]) this.#report('move.settled', `migration ${id} completes while ${open.length} intents are open, ${open[0].key} first`)
  }

  /** Its users are free again. */
  #close({ id, evacuation, moves }: TracedMigration): void {
    for (const [connection, move] of moves) {
      if (this.#claims.get(connection) === id) this.#claims.delete(connection)
      if (move.stage === 'started') move.stage = 'skipped'
    }
    if (evacuation !== null) this.#evacuations.get(evacuation)?.open.delete(id)
  }

  #ended(id: string, status: MigrationStatus): TracedMigration {
    const migration = this.#migrationOf(id, status)
    if (migration.status !== status) this.#report('migration.transition', `migration ${id} is told ${status}, and is ${migration.status}`)
    return migration
  }

  #completed({ id, connectionsMoved, connectionsFailed }: PintailEvents['migration.completed']): void {
    const { moves, isWhole } = this.#ended(id, 'completed')
    const count = (...stages: readonly MoveStage[]) => [...moves.values()].filter(({ stage }) => stages.includes(stage)).length
    const [moved, failed] = [count('moved'), count('failed', 'refused')]
    if (isWhole && (moved !== connectionsMoved || failed !== connectionsFailed))
      this.#report(
        'migration.figures',
        `migration ${id} is completed with ${connectionsMoved} moved and ${connectionsFailed} failed; its moves tell of ${moved} and ${failed}`,
      )
  }

  #failed({ id, rollbackSuccess, residue }: PintailEvents['migration.failed']): void {
    this.#ended(id, 'failed')
    if (residue.length > 0 && rollbackSuccess === true)
      this.#report('residue.listed', `migration ${id} lists ${residue.length} as residue, and claims that all was rolled back`)
  }

  #deleted({ id }: PintailEvents['migration.deleted']): void {
    const migration = this.#migrations.get(id)
    if (migration && !isTerminal(migration.status))
      this.#report('migration.transition', `migration ${id} is deleted while it is ${migration.status}`)
    this.#migrations.delete(id)
  }

  // -------------------------------------------------------------------------------------------------------------- moves

  #started(entry: PintailEvent, data: PintailEvents['move.started']): void {
    const { key, migrationId, connectionId, fromServerId: from, toServerId: to, fencingToken } = data
    const migration = this.#migrationOf(migrationId, 'transferring')
    const who = `${connectionId} from ${from} to ${to}`
    if (migration.status !== 'transferring')
      this.#report('move.intent', `${who} starts while migration ${migrationId} is ${migration.status}`)
    this.#endsOf(migration, data)
    if (fencingToken !== (this.#token ?? Math.max(fencingToken, this.#highest)))
      this.#report('leader.token', `${who} starts with the token ${fencingToken}; the leader has ${this.#token ?? this.#highest}`)
    this.#highest = Math.max(fencingToken, this.#highest)
    const claim = this.#claims.get(connectionId)
    if (claim !== undefined && claim !== migrationId)
      this.#report('move.single', `${who} starts while migration ${claim} of the same user is open`)
    this.#claims.set(connectionId, migrationId)
    this.#allowed(entry, data, migration, who)
    const move = migration.moves.get(connectionId)
    if (move && (move.stage === 'moved' || move.stage === 'skipped' || move.stage === 'refused'))
      this.#report('move.settled', `${who} starts again although it is ${move.stage}`)
    if (move?.stage === 'started' && move.at === entry.at && move.key === key)
      this.#report('move.settled', `${who} is intended twice in one moment`)
    const attempt = this.#keyed(migration, data, move ?? null)
    migration.moves.set(connectionId, { stage: 'started', attempt, key, at: entry.at })
  }

  /** I9 and I14, and the home that he has already. */
  #allowed({ at }: PintailEvent, data: PintailEvents['move.started'], migration: TracedMigration, who: string): void {
    const { connectionId, fromServerId: from, toServerId: to } = data
    const { id, evacuation: evacuationId, reason } = migration
    const evacuation = evacuationId === null ? undefined : this.#evacuations.get(evacuationId)
    const incident = evacuation?.incident ? this.#incidents.get(evacuation.incident) : undefined
    if (incident?.isOver) this.#report('move.after_recovery', `${who} starts after incident ${evacuation?.incident} is over`)
    if (evacuation?.ended) this.#report('move.against_word', `${who} starts in evacuation ${evacuationId}, which is ${evacuation.ended}`)
    if (this.#cordoned.has(to)) this.#report('move.against_word', `${who} starts although ${to} is cordoned`)
    // A pause of the home holds those who go home to it.
    const servers = reason === 'failback' ? [from, to] : [from]
    const scopes = ['all', ...servers.map((server) => `serverId ${server}`), `evacuationId ${evacuationId}`, `migrationId ${id}`]
    for (const scope of scopes) {
      const until = this.#paused.get(scope)
      if (until !== undefined && (until === null || until > at)) this.#report('move.against_word', `${who} starts while ${scope} is paused`)
    }
    if (evacuation?.homes.get(connectionId)?.has(to)) this.#report('move.ends', `${who}: he has been moved there before`)
  }

  #endsOf(
    { id, from, to }: TracedMigration,
    data: { readonly connectionId: string; readonly fromServerId: string; readonly toServerId: string },
  ): void {
    const { connectionId, fromServerId, toServerId } = data
    if (fromServerId === toServerId) this.#report('move.ends', `${connectionId} is moved onto ${toServerId}, where he is`)
    else if ((from !== null && from !== fromServerId) || (to !== null && to !== toServerId))
      this.#report('move.ends', `${connectionId} goes from ${fromServerId} to ${toServerId} in migration ${id} from ${from} to ${to}`)
  }

  /** The attempt that the key names, which rises with a confirmed rollback only. */
  #keyed(
    { id, isWhole }: TracedMigration,
    { key, connectionId }: { readonly key: string; readonly connectionId: string },
    move: TracedMove | null,
  ): number | null {
    const start = `${id}/${connectionId}/`
    const attempt = key.startsWith(start) && /^[1-9]\d*$/.test(key.slice(start.length)) ? Number(key.slice(start.length)) : null
    const expected = move ? move.attempt : isWhole ? 1 : null
    if (attempt === null) this.#report('move.key', `the key ${key} is none of ${connectionId} in migration ${id}`)
    else if (expected !== null && attempt !== expected)
      this.#report('move.key', `${connectionId} has the key ${key}, and attempt ${expected} was not taken back`)
    return attempt ?? expected
  }

  /** The move that an outcome belongs to; null: there is none, and that is reported. */
  #intended(entry: PintailEvent, data: PintailEvents['connection.moved'] | PintailEvents['connection.move_failed']): TracedMove {
    const { key, migrationId, connectionId } = data
    const migration = this.#migrationOf(migrationId, 'transferring')
    const { status, moves, isWhole } = migration
    if (status !== 'transferring') this.#report('move.intent', `the outcome of ${key} comes while migration ${migrationId} is ${status}`)
    this.#endsOf(migration, data)
    const move = moves.get(connectionId)
    // An undo ends a move that had been made.
    const isUndo = entry.type === 'connection.move_failed' && move?.stage === 'moved'
    if (!move && isWhole) this.#report('move.intent', `${entry.type} of ${key} without an intent before it`)
    else if (move && move.stage !== 'started' && !isUndo)
      this.#report('move.settled', `${entry.type} of ${key}, which is ${move.stage} already`)
    else if (move && move.key !== key) this.#report('move.key', `${entry.type} of ${key}; what was intended is ${move.key}`)
    const settled = move ?? { stage: 'started', attempt: null, key, at: entry.at }
    moves.set(connectionId, settled)
    return settled
  }

  #moved(entry: PintailEvent, data: PintailEvents['connection.moved']): void {
    const { migrationId, connectionId, fromServerId: from, toServerId: to, reason } = data
    this.#intended(entry, data).stage = 'moved'
    this.#homes.set(connectionId, to)
    this.#owe(connectionId, from, migrationId)
    const migration = this.#migrations.get(migrationId)
    const evacuation = migration?.evacuation ? this.#evacuations.get(migration.evacuation) : undefined
    if (migration?.isWhole && migration.reason !== reason)
      this.#report('move.ends', `${connectionId} is moved for ${reason} in migration ${migrationId}, whose reason is ${migration.reason}`)
    if (!evacuation) return
    evacuation.homes.set(connectionId, (evacuation.homes.get(connectionId) ?? new Set()).add(to))
    if (!this.#homeward.has(evacuation.id)) return
    const trip = `${connectionId} ${to}`
    const last = this.#cameHome.get(trip)
    if (last !== undefined && entry.at - last < homeOnceMs)
      this.#report(
        'home.once',
        `${connectionId} comes home to ${to} a second time within ${Math.round((entry.at - last) / 60_000)} minutes`,
      )
    this.#cameHome.set(trip, entry.at)
  }

  #moveFailed(entry: PintailEvent, data: PintailEvents['connection.move_failed']): void {
    const { migrationId, connectionId, fromServerId: from, toServerId: to, permanent, rolledBack } = data
    const move = this.#intended(entry, data)
    // Of a list of who was active lately, somebody may be moved to where he is; taking that back takes him away from there.
    const isTakenBack = rolledBack && this.#homes.get(connectionId) === to
    if (move.stage === 'moved' || isTakenBack) this.#undone(migrationId, connectionId, to, rolledBack ? from : null)
    move.stage = permanent ? 'refused' : 'failed'
    if (move.attempt !== null && rolledBack) move.attempt++
    if (permanent && this.#claims.get(connectionId) === migrationId) this.#claims.delete(connectionId)
    for (const server of [from, to]) this.#owe(connectionId, server, migrationId)
  }

  /** He is not there any more; where he is, is known if he was brought back. */
  #undone(migrationId: string, connection: string, from: string, home: string | null): void {
    const evacuation = this.#evacuations.get(this.#migrations.get(migrationId)?.evacuation ?? '')
    const homes = evacuation?.homes.get(connection)
    if (homes?.delete(from) && homes.size === 0) evacuation?.homes.delete(connection)
    if (home === null) this.#homes.delete(connection)
    else this.#homes.set(connection, home)
  }

  #skipped({ migrationId, connectionId }: PintailEvents['connection.skipped']): void {
    const migration = this.#migrationOf(migrationId, 'transferring')
    const move = migration.moves.get(connectionId)
    if (move && (move.stage === 'skipped' || move.stage === 'refused' || move.stage === 'failed'))
      this.#report('move.settled', `${connectionId} is skipped in migration ${migrationId}, and is ${move.stage} already`)
    if (move?.stage === 'moved' && migration.to !== null) this.#undone(migrationId, connectionId, migration.to, null)
    if (this.#claims.get(connectionId) === migrationId) this.#claims.delete(connectionId)
    migration.moves.set(connectionId, { attempt: null, key: '', at: 0, ...move, stage: 'skipped' })
  }

  // ------------------------------------------------------------------------------------------------------------ revokes

  #owe(connection: string, server: string, migration: string): void {
    const owed = this.#owed.get(connection) ?? new Map<string, { migration: string; many: number }>()
    this.#owed.set(connection, owed.set(server, { migration, many: (owed.get(server)?.many ?? 0) + 1 }))
  }

  #revoked({ serverId, connectionId }: PintailEvents['revoke.settled']): void {
    const who = `the grant of ${connectionId} on ${serverId} is taken back`
    const owed = this.#owed.get(connectionId)?.get(serverId)
    if ((owed?.many ?? 0) < 1 && this.#isWhole) this.#report('revoke.early', `${who}, and no move has left one there`)
    if (owed) owed.many--
    if (this.#homes.get(connectionId) === serverId) this.#report('revoke.early', `${who}, where he is at home`)
    const move = owed && this.#migrations.get(owed.migration)?.moves.get(connectionId)
    if (move?.stage === 'started') this.#report('revoke.early', `${who} while his move is under way`)
  }
}

function scopeKey(scope: PintailEvents['pause.set']['scope']): string {
  return scope === 'all' ? scope : (Object.entries(scope) as [[string, string]])[0].join(' ')
}

/**
 * Judges a recorded journal as a trace: reads its entries in order and reports each rule of `traceRules` that they break.
 * A journal of a working engine has no findings. At most 1 000 are reported; those that follow upon a first one are often
 * its consequence. A journal that does not begin with entry 1, and one with a gap, is judged as far as it can be.
 *
 * Not judged, because a journal does not hold it: capacities and loads (I2), whether a server was really down (I5), rates
 * (I11), and what became of calls that no entry tells of.
 * @param entries as `store.readJournal()` gives them, or as `parseJournalLine()` reads them, in their order
 * @throws PintailError `invalid_argument` for what is no entry
 */
export function judgeJournal(entries: Iterable<JournalEntry>): readonly Finding[] {
  const judge = new TraceJudge()
  for (const entry of entries) judge.read(entry)
  return judge.findings
}
