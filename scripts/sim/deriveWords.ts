import type { JournalEntry, PintailEvent } from '@pintail/core'
import type { ActScope, NthOn, Script } from '@pintail/core/testing'
import type { Recorded, RecordedEvacuation, RecordedMigration } from './recorded.ts'

type Timed = Script['acts'][number]

/** How the engine says that a person's word ended something. */
const byOperator = 'cancelled by an operator'
/** A drain begins with the cordon; the plan follows within this time, milliseconds. */
const drainMs = 60_000
/** From the word to the first entry of it, milliseconds. */
const leadMs = 100

interface Approval {
  readonly at: number
  readonly migrations: RecordedMigration[]
  readonly startsAt: Map<RecordedMigration, number>
}

/** What operators have said, read off what came of it. */
class Words {
  readonly acts: Timed[] = []
  readonly #recorded: Recorded
  readonly #requested: ReadonlyMap<string, readonly string[]>
  readonly #migrations: ReadonlyMap<string, RecordedMigration>
  readonly #evacuations: ReadonlyMap<string, RecordedEvacuation>
  readonly #cordons = new Map<string, { readonly at: number; readonly index: number }>()
  readonly #cancelled = new Set<string>()
  readonly #pauses = new Map<string, number | null>()
  #approval: Approval | null = null

  constructor(recorded: Recorded, requested: ReadonlyMap<string, readonly string[]>) {
    this.#requested = requested
    this.#recorded = recorded
    this.#migrations = new Map(recorded.migrations.map((one) => [one.id, one]))
    this.#evacuations = new Map(recorded.evacuations.map((one) => [one.id, one]))
  }

  take(event: PintailEvent): void {
    if (this.#approval && (event.at !== this.#approval.at || event.type === 'decision.made')) this.end()
    this.#cordon(event)
    this.#request(event)
    this.#approve(event)
    this.#cancel(event)
    this.#pause(event)
    this.#incident(event)
  }

  #cordon({ type, at, data }: PintailEvent): void {
    if (type === 'server.cordoned') {
      const index = this.acts.push({ at: at - leadMs, do: 'operator.cordons', server: data.serverId }) - 1
      this.#cordons.set(data.serverId, { at, index })
    }
    if (type !== 'server.uncordoned') return
    this.#cordons.delete(data.serverId)
    this.acts.push({ at: at - leadMs, do: 'operator.uncordons', server: data.serverId })
  }

  /** What no incident and no failback has begun, a person has asked for. */
  #request({ type, at, data }: PintailEvent): void {
    if (type !== 'evacuation.created') return
    const evacuation = this.#evacuations.get(data.evacuationId)
    if (!evacuation || evacuation.incident !== null || data.incidentId !== null || evacuation.isHomeward) return
    const [server] = evacuation.from
    const cordon = server === undefined ? undefined : this.#cordons.get(server)
    if (server !== undefined && evacuation.from.length === 1 && evacuation.reason === 'maintenance' && cordon && at - cordon.at < drainMs) {
      this.acts[cordon.index] = { at: cordon.at - leadMs, do: 'operator.drains', server }
      return
    }
    // Whoever is pinned can only have been met by asking for everybody.
    const isAll = [...evacuation.unplaced.values()].includes('pinned')
    const users = isAll ? null : [...evacuation.users, ...(this.#requested.get(evacuation.id) ?? [])]
    const { reason, status } = evacuation as { readonly reason: 'manual'; readonly status: string }
    // Only a plan may be carried out that places nobody yet.
    const approved = data.migrations === 0 ? null : status === 'running'
    this.acts.push({ at: at - leadMs, do: 'operator.requests', servers: evacuation.from, users, reason, approved })
  }

  // --------------------------------------------------------------------------------------------------------- approvals

  #approve({ type, at, data }: PintailEvent): void {
    const id = type === 'migration.status_changed' || type === 'migration.rescheduled' ? data.id : null
    const migration = id === null ? undefined : this.#migrations.get(id)
    if (!migration) return
    const isApproved = type === 'migration.status_changed' && data.oldStatus === 'suggested' && data.newStatus === 'approved'
    if (!isApproved && type !== 'migration.rescheduled') return
    this.#approval ??= { at, migrations: [], startsAt: new Map() }
    if (isApproved) this.#approval.migrations.push(migration)
    if (type === 'migration.rescheduled') this.#approval.startsAt.set(migration, data.notBefore)
  }

  /** One approval is one commit: what was approved together was approved as one. */
  end(): void {
    const approval = this.#approval
    this.#approval = null
    if (!approval) return
    const at = approval.at - leadMs
    for (const [migration, startsAt] of approval.startsAt)
      this.acts.push({ at, do: 'operator.schedules', migration: migration.place, startsAt })
    const rest = approval.migrations.filter((migration) => !approval.startsAt.has(migration))
    for (const evacuation of new Set(rest.map((migration) => migration.evacuation))) {
      const own = rest.filter((migration) => migration.evacuation === evacuation)
      const all = this.#recorded.migrations.filter((one) => one.evacuation === evacuation && one.createdAt === evacuation?.createdAt)
      const isWhole = evacuation !== null && own.length === all.length
      const what: { readonly [kind in 'evacuation' | 'migration']?: NthOn }[] = isWhole
        ? [{ evacuation: evacuation.place }]
        : own.map(({ place }) => ({ migration: place }))
      for (const one of what) this.acts.push({ at, do: 'operator.approves', what: one as { readonly migration: NthOn } })
    }
  }

  // ------------------------------------------------------------------------------------------------ cancelling, pausing

  #cancel({ type, at, data }: PintailEvent): void {
    if (type !== 'migration.cancelled' && type !== 'connection.skipped' && type !== 'evacuation.cancelled') return
    if (data.why !== byOperator) return
    const migration = this.#migrations.get('id' in data ? data.id : 'migrationId' in data ? data.migrationId : '')
    const evacuation = type === 'evacuation.cancelled' ? this.#evacuations.get(data.evacuationId) : migration?.evacuation
    // The word comes first, and the end of all that is under way later.
    const isAll = evacuation?.end?.how === 'cancelled' && evacuation.end.why === byOperator
    const found = isAll ? evacuation : migration
    if (!found || this.#cancelled.has(found.id)) return
    this.#cancelled.add(found.id)
    const what = isAll ? { evacuation: found.place } : { migration: found.place }
    this.acts.push({ at: at - leadMs, do: 'operator.cancels', what })
  }

  #pause({ type, at, data }: PintailEvent): void {
    if (type !== 'pause.set' && type !== 'pause.lifted') return
    const key = JSON.stringify(data.scope)
    const scope = this.#scopeOf(data.scope)
    if (!scope) return
    if (type === 'pause.set') {
      this.#pauses.set(key, data.until)
      this.acts.push({ at: at - leadMs, do: 'operator.pauses', scope, forMs: data.until === null ? null : Math.max(1, data.until - at) })
      return
    }
    this.#pauses.delete(key)
    // One that ends together with what it was for is forgotten by the engine itself.
    const isOver = typeof data.scope === 'object' && !('serverId' in data.scope) && this.#endsAt(data.scope, at)
    if (!isOver) this.acts.push({ at: at - leadMs, do: 'operator.resumes', scope })
  }

  #endsAt(scope: object, at: number): boolean {
    if ('evacuationId' in scope) return this.#evacuations.get(scope.evacuationId as string)?.end?.at === at
    const status = this.#migrations.get((scope as { readonly migrationId: string }).migrationId)?.status
    return status === 'completed' || status === 'failed' || status === 'cancelled'
  }

  #scopeOf(scope: Extract<PintailEvent, { type: 'pause.set' }>['data']['scope']): ActScope | null {
    if (scope === 'all') return scope
    if ('serverId' in scope) return { server: scope.serverId }
    const evacuation = 'evacuationId' in scope ? this.#evacuations.get(scope.evacuationId) : undefined
    const migration = 'migrationId' in scope ? this.#migrations.get(scope.migrationId) : undefined
    return evacuation ? { evacuation: evacuation.place } : migration ? { migration: migration.place } : null
  }

  #incident({ type, at, data }: PintailEvent): void {
    if (type === 'incident.acknowledged') this.acts.push({ at: at - leadMs, do: 'operator.acknowledges', server: data.serverId })
    if (type !== 'guard.overridden') return
    const server = this.#recorded.incidents.find(({ id }) => id === data.incidentId)?.place.server
    if (server !== undefined)
      this.acts.push({ at: at - leadMs, do: 'operator.overrides_the_guard', server, forMs: Math.max(1, data.until - at) })
  }
}

/** @param requested names for those of a request who are counted and not named, by evacuation */
export function deriveWords(
  entries: Iterable<JournalEntry>,
  recorded: Recorded,
  requested: ReadonlyMap<string, readonly string[]>,
): Timed[] {
  const words = new Words(recorded, requested)
  for (const entry of entries) words.take(entry as PintailEvent)
  words.end()
  return words.acts
}
