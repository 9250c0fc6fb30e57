import type { JournalEntry, PintailEvent, PintailEvents } from '@pintail/core'
import type { NthOn } from '@pintail/core/testing'

/** What a journal records, put together by what it is about: ids of one run mean nothing in another one. */
export interface Recorded {
  readonly incidents: readonly RecordedIncident[]
  readonly evacuations: readonly RecordedEvacuation[]
  readonly migrations: readonly RecordedMigration[]
  /** Oldest first; one for each outcome, and one for each intent without. */
  readonly moves: readonly RecordedMove[]
}

export interface RecordedIncident {
  readonly id: string
  readonly place: NthOn
  readonly suspectedAt: number
  readonly openedAt: number
  readonly heldBy: Set<string>
  endedAt: number | null
}

export interface RecordedEvacuation {
  readonly id: string
  readonly place: NthOn
  readonly from: readonly string[]
  readonly incident: RecordedIncident | null
  /** A failback that the engine began by itself. */
  isHomeward: boolean
  readonly status: string
  readonly reason: string
  readonly mode: string
  readonly createdAt: number
  /** As its first decision has them. */
  readonly connections: number
  readonly unplaced: Map<string, string>
  /** Users that are named, on any of its servers. */
  readonly users: Set<string>
  end: { readonly how: 'completed' | 'cancelled'; readonly at: number; readonly moved: number; readonly why: string | null } | null
}

export interface RecordedMigration {
  readonly id: string
  readonly place: NthOn
  readonly evacuation: RecordedEvacuation | null
  readonly from: string
  readonly to: string
  readonly createdAt: number
  readonly connections: number
  status: string
}

export interface RecordedMove {
  readonly user: string
  readonly migration: RecordedMigration | null
  readonly key: string
  readonly from: string
  readonly to: string
  readonly startedAt: number | null
  at: number
  end: 'moved' | 'failed' | 'skipped' | 'undone' | null
  isPermanent: boolean
  isRolledBack: boolean
}

/** An evacuation that began before the journal does is known by its decisions only. */
class Recording {
  readonly incidents: RecordedIncident[] = []
  readonly evacuations: RecordedEvacuation[] = []
  readonly migrations: RecordedMigration[] = []
  readonly moves: RecordedMove[] = []
  readonly #incidents = new Map<string, RecordedIncident>()
  readonly #evacuations = new Map<string, RecordedEvacuation>()
  readonly #migrations = new Map<string, RecordedMigration>()
  readonly #counts = new Map<string, number>()
  readonly #open = new Map<string, RecordedMove>()
  readonly #homeward = new Set<string>()
  #decision: PintailEvents['decision.made'] | null = null

  take(entry: JournalEntry): void {
    const event = entry as PintailEvent
    this.#incident(event)
    this.#evacuation(event)
    this.#migration(event)
    this.#move(event)
  }

  #place(kind: string, server: string): NthOn {
    const key = `${kind} ${server}`
    const nth = this.#counts.get(key) ?? 0
    this.#counts.set(key, nth + 1)
    return { server, nth }
  }

  #incident({ type, at, data }: PintailEvent): void {
    if (type === 'incident.opened') {
      const { incidentId: id, serverId, suspectedAt } = data
      // One that failed again before its status was put back has ended without a word.
      const before = this.incidents.findLast((one) => one.place.server === serverId)
      if (before) before.endedAt ??= at
      const place = this.#place('incident', serverId)
      const incident: RecordedIncident = { id, place, suspectedAt, openedAt: at, heldBy: new Set(), endedAt: null }
      this.incidents.push(incident)
      this.#incidents.set(id, incident)
    }
    if (type !== 'incident.held' && type !== 'incident.recovered' && type !== 'incident.closed') return
    const incident = this.#incidents.get(data.incidentId ?? '')
    if (!incident) return
    if (type === 'incident.held') for (const { guard } of data.guards) incident.heldBy.add(guard)
    else incident.endedAt = at
  }

  #evacuation({ type, at, data }: PintailEvent): void {
    if (type === 'decision.made') this.#decision = data
    if (type === 'failback.changed' && data.evacuationId) {
      this.#homeward.add(data.evacuationId)
      const evacuation = this.#evacuations.get(data.evacuationId ?? '')
      if (evacuation) evacuation.isHomeward = true
    }
    if (type === 'evacuation.created') this.#begun(data, at)
    if (type === 'connection.unplaced') {
      const evacuation = this.#evacuations.get(data.evacuationId ?? '')
      evacuation?.unplaced.set(data.connectionId, data.code)
      evacuation?.users.add(data.connectionId)
    }
    if (type !== 'evacuation.completed' && type !== 'evacuation.cancelled') return
    const evacuation = this.#evacuations.get(data.evacuationId ?? '')
    const how = type === 'evacuation.completed' ? 'completed' : 'cancelled'
    if (evacuation) evacuation.end = { how, at, moved: data.moved, why: 'why' in data ? data.why : null }
  }

  #begun(data: PintailEvents['evacuation.created'], at: number): void {
    const { evacuationId: id, fromServerIds: from, incidentId, status, connections } = data
    const evacuation: RecordedEvacuation = {
      id,
      place: this.#place('evacuation', from[0] ?? ''),
      from,
      incident: this.#incidents.get(incidentId ?? '') ?? null,
      isHomeward: this.#homeward.has(id),
      status,
      reason: this.#decision?.reason ?? (incidentId === null ? 'manual' : 'server-down'),
      mode: this.#decision?.mode ?? (status === 'running' ? 'auto' : 'suggest'),
      createdAt: at,
      connections,
      unplaced: new Map(),
      users: new Set(),
      end: null,
    }
    this.evacuations.push(evacuation)
    this.#evacuations.set(id, evacuation)
  }

  #migration({ type, at, data }: PintailEvent): void {
    if (type === 'migration.created') {
      const { id, fromServerId: from, toServerId: to, connections, status, evacuationId } = data
      const evacuation = this.#evacuations.get(evacuationId) ?? null
      const place = this.#place('migration', from)
      const migration: RecordedMigration = { id, place, evacuation, from, to, createdAt: at, connections, status }
      this.migrations.push(migration)
      this.#migrations.set(id, migration)
    }
    if (type !== 'migration.status_changed') return
    const migration = this.#migrations.get(data.id)
    if (migration) migration.status = data.newStatus
  }

  #move({ type, at, data }: PintailEvent): void {
    if (type === 'move.started') return void this.#begin(data, at)
    if (type === 'connection.moved' || type === 'connection.move_failed') {
      const key = `${data.migrationId} ${data.connectionId}`
      const before = this.#open.get(key)
      const move = before?.end === null ? before : this.#begin(data, null)
      move.at = at
      move.end = type === 'connection.moved' ? 'moved' : before?.end === 'moved' ? 'undone' : 'failed'
      move.isPermanent = 'permanent' in data && data.permanent
      move.isRolledBack = 'rolledBack' in data && data.rolledBack
    }
    if (type !== 'connection.skipped') return
    const { migrationId, connectionId } = data
    const migration = this.#migrations.get(migrationId)
    const ends = { fromServerId: migration?.from ?? '', toServerId: migration?.to ?? '' }
    const before = this.#open.get(`${migrationId} ${connectionId}`)
    const move = before?.end === null ? before : this.#begin({ migrationId, connectionId, key: '', ...ends }, null)
    move.at = at
    move.end = 'skipped'
  }

  #begin(
    data: Readonly<Record<'migrationId' | 'connectionId' | 'fromServerId' | 'toServerId' | 'key', string>>,
    startedAt: number | null,
  ): RecordedMove {
    const { migrationId, connectionId: user, fromServerId: from, toServerId: to, key } = data
    const place = `${migrationId} ${user}`
    const before = this.#open.get(place)
    // The same intent again, after a crash.
    if (before?.end === null && before.key === key) return before
    const migration = this.#migrations.get(migrationId) ?? null
    migration?.evacuation?.users.add(user)
    const move: RecordedMove = {
      user,
      migration,
      key,
      from,
      to,
      startedAt,
      at: startedAt ?? 0,
      end: null,
      isPermanent: false,
      isRolledBack: false,
    }
    this.#open.set(place, move)
    this.moves.push(move)
    return move
  }
}

export function readRecorded(entries: Iterable<JournalEntry>): Recorded {
  const recording = new Recording()
  for (const entry of entries) recording.take(entry)
  return recording
}
