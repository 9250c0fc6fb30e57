import {
  type Attributes,
  type Context,
  context,
  type HrTime,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { errorText, isPintailError, type PintailEvent, type PintailEvents, type TracedCall } from '@pintail/core'

/** A span and the context in which its children are. */
interface Open {
  readonly span: Span
  readonly context: Context
}

/** Moves whose intents were kept together. */
interface Wave extends Open {
  readonly moves: Set<string>
  readonly counts: { moved: number; failed: number; skipped: number }
}

interface MigrationTrace extends Open {
  readonly of: EvacuationTrace
  phase: Open | null
  /** Takes the moves that are told in this turn. */
  gathering: Wave | null
  readonly waves: Map<string, Wave>
}

interface EvacuationTrace extends Open {
  readonly sources: readonly string[]
  readonly migrations: Set<string>
  spans: number
  leftOut: number
}

interface Outage {
  readonly suspectedAt: number
  readonly openedAt: number
}

const phases = ['preparing', 'transferring', 'completing']
/** Calls of evacuations that go on; old grants are taken back long after the end too. */
const resuming = ['prepare', 'move', 'verify']
/** Whatever a journal tells, so many at once are followed. */
const most = { outages: 10_000, evacuations: 1000 }

/** One trace an evacuation, made of what engines of this process tell. */
export class Traces {
  readonly #tracer: Tracer
  readonly #options: { readonly includeUsers: boolean; readonly mostSpans: number }
  readonly #outages = new Map<string, Outage>()
  readonly #evacuations = new Map<string, EvacuationTrace>()
  readonly #migrations = new Map<string, MigrationTrace>()
  readonly #calls = new WeakMap<TracedCall, Span>()
  #at = 0

  constructor(tracer: Tracer, options: { readonly includeUsers: boolean; readonly mostSpans: number }) {
    this.#tracer = tracer
    this.#options = options
  }

  // ----------------------------------------------------------------------------------------------------------- events

  heard({ type, data, at }: PintailEvent): void {
    this.#at = at
    switch (type) {
      case 'incident.opened':
        if (this.#outages.size < most.outages) this.#outages.set(data.incidentId, { suspectedAt: data.suspectedAt, openedAt: at })
        break
      case 'incident.recovered':
      case 'incident.closed':
        this.#outages.delete(data.incidentId)
        break
      case 'evacuation.created':
        this.#created(data, at)
        break
      case 'evacuation.completed':
        this.#ended(data.evacuationId, { 'pintail.moved': data.moved, 'pintail.unplaced': data.unplaced })
        break
      case 'evacuation.cancelled':
        this.#ended(data.evacuationId, { 'pintail.moved': data.moved, 'pintail.cancelled': true })
        break
      case 'leader.lost':
        // Another engine goes on, and begins a trace of its own.
        this.end()
        break
      case 'migration.created':
        this.#migrationCreated(data, at)
        break
      case 'migration.status_changed':
        this.#statusChanged(data, at)
        break
      case 'move.started':
        this.#moveStarted(data.migrationId, data.connectionId, at)
        break
      case 'connection.moved':
        this.#moveSettled(data.migrationId, data.connectionId, 'moved')
        break
      case 'connection.move_failed':
        this.#moveSettled(data.migrationId, data.connectionId, 'failed')
        break
      case 'connection.skipped':
        this.#moveSettled(data.migrationId, data.connectionId, 'skipped')
    }
  }

  #created(data: PintailEvents['evacuation.created'], at: number): void {
    const { evacuationId, incidentId, fromServerIds, connections, unplaced } = data
    const outage = incidentId === null ? undefined : this.#outages.get(incidentId)
    // A later evacuation of the same incident, as the way home, was not detected anew.
    if (incidentId !== null) this.#outages.delete(incidentId)
    const opened = this.#evacuation(evacuationId, outage?.suspectedAt ?? at, fromServerIds, {
      ...(incidentId !== null && { 'pintail.incident.id': incidentId }),
      'pintail.server.from': [...fromServerIds],
      'pintail.connections': connections,
      'pintail.unplaced': unplaced,
    })
    if (!opened || !outage) return
    this.#open('pintail.detect', opened, outage.suspectedAt).span.end(hr(outage.openedAt))
    this.#open('pintail.decide', opened, outage.openedAt).span.end(hr(at))
  }

  #evacuation(id: string, at: number, sources: readonly string[], attributes: Attributes): EvacuationTrace | null {
    const known = this.#evacuations.get(id)
    if (known || this.#evacuations.size >= most.evacuations) return known ?? null
    // A root of its own: whatever request was under way when it was decided did not cause it.
    const span = this.#tracer.startSpan(
      'pintail.evacuation',
      { root: true, startTime: hr(at), attributes: { 'pintail.evacuation.id': id, ...attributes } },
      ROOT_CONTEXT,
    )
    const made = { span, context: trace.setSpan(ROOT_CONTEXT, span), sources, migrations: new Set<string>(), spans: 0, leftOut: 0 }
    this.#evacuations.set(id, made)
    return made
  }

  #migrationCreated(data: PintailEvents['migration.created'], at: number): void {
    const evacuation = this.#evacuation(data.evacuationId, at, [data.fromServerId], {})
    if (!evacuation) return
    this.#migration(data.id, evacuation, at, {
      'pintail.server.from': data.fromServerId,
      'pintail.server.to': data.toServerId,
      'pintail.reason': data.reason,
      'pintail.connections': data.connections,
    }).span.addEvent(data.status, hr(at))
  }

  #migration(id: string, of: EvacuationTrace, at: number, attributes: Attributes): MigrationTrace {
    const open = this.#open('pintail.migration', of, at, { 'pintail.migration.id': id, ...attributes })
    const made = { ...open, of, phase: null, gathering: null, waves: new Map<string, Wave>() }
    this.#migrations.set(id, made)
    of.migrations.add(id)
    return made
  }

  #statusChanged({ id, newStatus }: PintailEvents['migration.status_changed'], at: number): void {
    const migration = this.#migrations.get(id)
    if (!migration) return
    this.#endPhase(migration, at)
    if (phases.includes(newStatus)) migration.phase = this.#open(`pintail.${newStatus}`, migration, at)
    else migration.span.addEvent(newStatus, hr(at))
    if (!['completed', 'failed', 'cancelled'].includes(newStatus)) return
    migration.span.setAttribute('pintail.status', newStatus)
    if (newStatus === 'failed') migration.span.setStatus({ code: SpanStatusCode.ERROR })
    migration.span.end(hr(at))
    this.#migrations.delete(id)
    migration.of.migrations.delete(id)
  }

  #endPhase(migration: MigrationTrace, at: number): void {
    for (const wave of new Set(migration.waves.values())) endWave(wave, at)
    migration.waves.clear()
    migration.phase?.span.end(hr(at))
    migration.phase = null
  }

  // ------------------------------------------------------------------------------------------------------------ waves

  #moveStarted(migrationId: string, connectionId: string, at: number): void {
    const migration = this.#migrations.get(migrationId)
    if (!migration) return
    if (!migration.gathering) {
      if (!this.#hasRoom(migration.of)) return
      const open = this.#open('pintail.wave', migration.phase ?? migration, at)
      migration.gathering = { ...open, moves: new Set(), counts: { moved: 0, failed: 0, skipped: 0 } }
      // What was kept together is told in one turn.
      queueMicrotask(() => {
        migration.gathering = null
      })
    }
    migration.gathering.moves.add(connectionId)
    migration.waves.set(connectionId, migration.gathering)
  }

  #moveSettled(migrationId: string, connectionId: string, as: keyof Wave['counts']): void {
    const migration = this.#migrations.get(migrationId)
    const wave = migration?.waves.get(connectionId)
    if (!migration || !wave) return
    migration.waves.delete(connectionId)
    wave.moves.delete(connectionId)
    wave.counts[as]++
    if (wave.moves.size === 0) endWave(wave, this.#at)
  }

  // ------------------------------------------------------------------------------------------------------------ calls

  callStarted(call: TracedCall): void {
    const parent = this.#parentOf(call)
    if (!parent) return
    const { under, evacuation } = parent
    let within = under.context
    if (this.#hasRoom(evacuation)) {
      const open = this.#open(`pintail.${call.port}.${call.method}`, under, call.startedAt, this.#about(call), SpanKind.CLIENT)
      this.#calls.set(call, open.span)
      within = open.context
    }
    const traceparent = traceparentOf(within)
    if (traceparent) call.traceparent = traceparent
    call.within = (run) => context.with(within, run)
  }

  callEnded(call: TracedCall): void {
    const span = this.#calls.get(call)
    if (!span) return
    const { failure, endedAt } = call
    if (failure !== null) {
      span.setAttribute('error.type', isPintailError(failure) ? failure.code : failure instanceof Error ? failure.name : 'unknown')
      span.setStatus({ code: SpanStatusCode.ERROR, ...(this.#options.includeUsers && { message: errorText(failure) }) })
    }
    span.end(hr(endedAt ?? call.startedAt))
  }

  #about({ migrationId, serverId, move }: TracedCall): Attributes {
    return {
      ...(migrationId !== null && { 'pintail.migration.id': migrationId }),
      ...(move ? { 'pintail.server.from': move.from.id, 'pintail.server.to': move.to.id, 'pintail.attempt': move.attempt } : {}),
      ...(!move && serverId !== null && { 'pintail.server.id': serverId }),
      ...(move && this.#options.includeUsers && { 'pintail.connection.id': move.connection.id }),
    }
  }

  #parentOf(call: TracedCall): { readonly under: Open; readonly evacuation: EvacuationTrace } | null {
    const { migrationId, evacuationId, move, serverId, startedAt } = call
    let migration = migrationId === null ? undefined : this.#migrations.get(migrationId)
    const isUnknown = !migration && migrationId !== null && evacuationId !== null && !this.#evacuations.has(evacuationId)
    if (isUnknown && resuming.includes(call.method)) {
      // Begun by another process, or before anybody traced.
      const resumed = this.#evacuation(evacuationId, startedAt, move ? [move.from.id] : [], { 'pintail.resumed': true })
      if (resumed) migration = this.#migration(migrationId, resumed, startedAt, { 'pintail.resumed': true })
    }
    if (migration) {
      const wave = move ? migration.waves.get(move.connection.id) : undefined
      return { under: wave ?? migration.phase ?? migration, evacuation: migration.of }
    }
    const evacuation =
      evacuationId === null
        ? [...this.#evacuations.values()].find(({ sources }) => serverId !== null && sources.includes(serverId))
        : this.#evacuations.get(evacuationId)
    return evacuation ? { under: evacuation, evacuation } : null
  }

  // ------------------------------------------------------------------------------------------------------------ spans

  #hasRoom(evacuation: EvacuationTrace): boolean {
    const isFree = evacuation.spans < this.#options.mostSpans
    if (isFree) evacuation.spans++
    else evacuation.leftOut++
    return isFree
  }

  #open(name: string, parent: Open, at: number, attributes: Attributes = {}, kind = SpanKind.INTERNAL): Open {
    const span = this.#tracer.startSpan(name, { startTime: hr(at), attributes, kind }, parent.context)
    return { span, context: trace.setSpan(parent.context, span) }
  }

  #ended(id: string, attributes: Attributes): void {
    const evacuation = this.#evacuations.get(id)
    if (!evacuation) return
    this.#evacuations.delete(id)
    for (const one of evacuation.migrations) {
      const migration = this.#migrations.get(one)
      this.#migrations.delete(one)
      if (!migration) continue
      this.#endPhase(migration, this.#at)
      migration.span.end(hr(this.#at))
    }
    evacuation.span.setAttributes({ ...attributes, ...(evacuation.leftOut > 0 && { 'pintail.spans_left_out': evacuation.leftOut }) })
    evacuation.span.end(hr(this.#at))
  }

  /** Ends whatever is open: a span that never ends is never told. */
  end(): void {
    for (const id of [...this.#evacuations.keys()]) this.#ended(id, { 'pintail.interrupted': true })
    this.#outages.clear()
  }
}

function endWave({ span, counts }: Wave, at: number): void {
  span.setAttributes({ 'pintail.moved': counts.moved, 'pintail.failed': counts.failed, 'pintail.skipped': counts.skipped })
  span.end(hr(at))
}

/** The engine's clock, as it is: a number would be taken for one of `performance.now()` if it is small. */
function hr(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)]
}

/** W3C Trace Context; null where nothing is traced. */
function traceparentOf(within: Context): string | null {
  const found = trace.getSpanContext(within)
  if (!found || !isSpanContextValid(found)) return null
  return `00-${found.traceId}-${found.spanId}-${found.traceFlags.toString(16).padStart(2, '0')}`
}
