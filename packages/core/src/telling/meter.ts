import { errorText } from '../errors.ts'
import type { PintailEvent } from '../events.ts'
import type { Clock, Logger, MetricLabels, MetricName, Metrics, Timer } from '../ports.ts'
import { systemClock } from '../time.ts'
import type { FleetStatus, GuardCode, Migration, MigrationId, MigrationReason, ServerReport, VerdictKind } from '../vocabulary.ts'
import type { Bus } from './bus.ts'
import { type Teller, teller } from './measured.ts'

/** Without a reader that says when, gauges are set this often; and never more often than the other, milliseconds. */
const sampleEveryMs = 10_000
const atMostEveryMs = 1000
const mostServers = 10_000
const openStatuses = ['suggested', 'approved', 'scheduled', 'preparing', 'transferring', 'completing'] as const
const perServer = [
  'pintail_server_up',
  'pintail_server_rtt_seconds',
  'pintail_server_packet_loss_ratio',
  'pintail_server_connections',
] as const satisfies readonly MetricName[]

export interface Metering {
  readonly metrics: Metrics
  readonly tell: Teller
  readonly clock: Clock
  /** Milliseconds since 1970 by the time of day, which `clock` may have left behind: others compare with theirs. */
  readonly wallNow: () => number
}

/** The first failure of the host's `Metrics` is logged, and no other. */
export function metering(metrics: Metrics, clock: Clock, logger: Logger): Metering {
  let isTold = false
  const tell = teller(metrics, (error) => {
    if (!isTold) logger.warn({ err: errorText(error) }, `metrics: a figure could not be told: ${errorText(error)}`)
    isTold = true
  })
  return { metrics, tell, clock, wallNow: clock === systemClock ? Date.now : () => clock.now() }
}

/**
 * Tells the figures of an engine: counts what it tells, and looks at `status()` for all that has a value at each moment.
 * Dispose when the engine has stopped: the last look is taken then.
 */
export class Meter implements Disposable {
  readonly #status: (withServers: boolean) => FleetStatus
  readonly #metrics: Metrics
  readonly #tell: Teller
  readonly #clock: Clock
  readonly #wallNow: () => number
  readonly #held: Disposable[] = []
  readonly #known = new Map<MigrationId, { readonly reason: MigrationReason; readonly savings: number | null }>()
  readonly #guards = new Set<GuardCode>()
  readonly #servers = new Set<string>()
  readonly #observed = { taken: 0, refused: 0 }
  #savings = 0
  #sampledAt = Number.NEGATIVE_INFINITY
  #timer: Timer | null = null

  constructor({ bus, status }: { bus: Bus; status: (withServers: boolean) => FleetStatus }, { metrics, tell, clock, wallNow }: Metering) {
    this.#status = status
    this.#metrics = metrics
    this.#tell = tell
    this.#clock = clock
    this.#wallNow = wallNow
    this.#held.push(bus.on('*', (event) => this.#heard(event)))
    const reading = metrics.collecting?.(() => this.#sampleDue())
    if (reading) this.#held.push(reading)
    else this.#sampleLater()
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel()
    for (const one of this.#held.splice(0)) one[Symbol.dispose]()
    this.#sample()
  }

  // ----------------------------------------------------------------------------------------------------------- events

  #heard({ type, data }: PintailEvent): unknown {
    const { count, observe } = this.#tell
    switch (type) {
      case 'leader.acquired':
        return count('pintail_leader_changes_total', { change: 'acquired' })
      case 'leader.lost':
        // What was open is another leader's now, and ends where this one does not hear of it.
        this.#known.clear()
        return count('pintail_leader_changes_total', { change: 'lost' })
      case 'server.verdict_changed':
        return count('pintail_verdict_changes_total', { verdict: data.verdict, scope: scopeOf(data.audience) })
      case 'incident.opened':
        observe('pintail_detection_seconds', {}, Math.max(0, this.#clock.now() - data.suspectedAt) / 1000)
        return count('pintail_incidents_opened_total', { scope: scopeOf(data.audience) })
      case 'incident.recovered':
        observe('pintail_incident_duration_seconds', {}, data.durationMs / 1000)
        return count('pintail_incidents_ended_total', { how: 'recovered' })
      case 'incident.closed':
        return count('pintail_incidents_ended_total', { how: 'closed' })
      case 'guard.denied':
        return count('pintail_guard_denials_total', { guard: data.guard })
      case 'decision.made':
        return count('pintail_decisions_total', { reason: data.reason, mode: data.mode })
      case 'evacuation.created':
        return count('pintail_evacuations_total', { event: 'created' })
      case 'evacuation.completed':
        observe('pintail_evacuation_duration_seconds', {}, data.durationMs / 1000)
        return count('pintail_evacuations_total', { event: 'completed' })
      case 'evacuation.cancelled':
        return count('pintail_evacuations_total', { event: 'cancelled' })
      case 'connection.moved':
        return count('pintail_moves_total', { outcome: 'moved' })
      case 'connection.skipped':
        return count('pintail_moves_total', { outcome: 'skipped' })
      case 'connection.move_failed':
        count('pintail_move_failures_total', { permanent: `${data.permanent}`, rolled_back: `${data.rolledBack}` })
        return count('pintail_moves_total', { outcome: 'failed' })
      case 'connection.unplaced':
        return count('pintail_unplaced_total', { code: data.code })
      case 'connection.undelivered':
        return count('pintail_undelivered_total', {})
      case 'warning':
        return count('pintail_warnings_total', { code: data.code })
      default:
        return this.#heardOfMigration({ type, data } as PintailEvent)
    }
  }

  #heardOfMigration({ type, data }: PintailEvent): void {
    const { count, observe } = this.#tell
    switch (type) {
      case 'migration.created':
        this.#known.set(data.id, { reason: data.reason, savings: data.savingsEurHour })
        count('pintail_migrations_total', { status: data.status, reason: data.reason })
        break
      case 'migration.status_changed':
        count('pintail_migrations_total', { status: data.newStatus, reason: this.#about(data.id)?.reason ?? 'unknown' })
        break
      case 'migration.completed': {
        const { reason = 'unknown', savings = 0 } = this.#about(data.id) ?? {}
        observe('pintail_migration_duration_seconds', { reason }, data.durationSeconds)
        this.#savings += savings ?? 0
        this.#known.delete(data.id)
        break
      }
      case 'migration.failed': {
        const rollback = data.rollbackSuccess === null ? 'none' : data.rollbackSuccess ? 'done' : 'incomplete'
        count('pintail_migration_failures_total', { reason: this.#about(data.id)?.reason ?? 'unknown', rollback })
        this.#known.delete(data.id)
        break
      }
      case 'migration.cancelled':
        this.#known.delete(data.id)
    }
  }

  /** Those of a former leader were created in another process. */
  #about(id: MigrationId): { readonly reason: MigrationReason; readonly savings: number | null } | undefined {
    if (!this.#known.has(id))
      for (const one of this.#status(false).migrations) this.#known.set(one.id, { reason: one.reason, savings: one.savingsEurHour })
    return this.#known.get(id)
  }

  // ---------------------------------------------------------------------------------------------------------- sampling

  #sampleLater(): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#sample()
      this.#sampleLater()
    }, sampleEveryMs)
  }

  #sampleDue(): void {
    if (this.#clock.now() - this.#sampledAt >= atMostEveryMs) this.#sample()
  }

  #sample(): void {
    const most = Math.min(mostServers, Math.max(0, Math.floor(this.#metrics.perServer ?? 0)))
    const status = this.#status(most > 0)
    this.#sampledAt = this.#clock.now()
    const set = <K extends MetricName>(name: K, labels: MetricLabels[K], value: number) => this.#tell.gauge(name, labels, value)
    const wall = (at: number): number => (this.#wallNow() - (status.at - at)) / 1000
    set('pintail_leading', {}, status.state === 'leading' ? 1 : 0)
    // Nobody has looked yet: then it stays away, or 0, and never says that all is well.
    if (status.lastCheckAt !== null) set('pintail_last_cycle_timestamp_seconds', {}, wall(status.lastCheckAt))
    for (const verdict of Object.keys(status.counts) as VerdictKind[]) set('pintail_servers', { verdict }, status.counts[verdict])
    const healthy = status.vantages.filter((one) => one.healthy).length
    set('pintail_vantages', { state: 'healthy' }, healthy)
    set('pintail_vantages', { state: 'lost' }, status.vantages.length - healthy)
    const { listedAt, skippedRows } = status.registry
    if (listedAt !== null) set('pintail_registry_list_timestamp_seconds', {}, wall(listedAt))
    set('pintail_registry_skipped_rows', {}, skippedRows)
    set('pintail_incidents_open', {}, status.incidents.length)
    set('pintail_failing_domains', {}, status.failingDomains.length)
    set('pintail_pauses', {}, status.pauses.length)
    set('pintail_pending_revokes', {}, status.pendingRevokes)
    set('pintail_store_writable', {}, status.storeTrouble === null ? 1 : 0)
    set('pintail_journal_last_seq', {}, status.lastSeq)
    set('pintail_migration_savings_eur_per_hour', {}, this.#savings)
    this.#sampleQueue(status.migrations)
    this.#sampleGuards(status)
    this.#sampleObservations(status)
    if (most > 0) this.#sampleServers(status.servers, most)
  }

  #sampleQueue(migrations: readonly Migration[]): void {
    for (const status of openStatuses) {
      const those = migrations.filter((one) => one.status === status)
      const left = (one: Migration) => one.connectionCountAtStart - one.connectionsMoved - one.connectionsFailed - one.connectionsSkipped
      const sum = those.reduce((total, one) => total + Math.max(0, left(one)), 0)
      this.#tell.gauge('pintail_migrations_open', { status }, those.length)
      this.#tell.gauge('pintail_moves_open', { status }, sum)
    }
  }

  #sampleGuards({ guards }: FleetStatus): void {
    const held = new Map([...this.#guards].map((guard) => [guard, 0]))
    for (const { guard, servers } of guards) held.set(guard, (held.get(guard) ?? 0) + servers.length)
    for (const [guard, servers] of held) {
      this.#guards.add(guard)
      this.#tell.gauge('pintail_guard_held_servers', { guard }, servers)
    }
  }

  /** They begin anew with each term; a counter only rises. */
  #sampleObservations({ observations: { taken, refused } }: FleetStatus): void {
    const now = { taken, refused: Object.values(refused).reduce((sum, one) => sum + one, 0) }
    for (const result of ['taken', 'refused'] as const) {
      const more = now[result] < this.#observed[result] ? now[result] : now[result] - this.#observed[result]
      if (more > 0) this.#tell.count('pintail_observations_total', { result }, more)
      this.#observed[result] = now[result]
    }
  }

  #sampleServers(servers: readonly ServerReport[], most: number): void {
    // By id, so that the same servers keep their series while others come and go.
    const those = servers.length <= most ? servers : [...servers].sort((a, b) => (a.serverId < b.serverId ? -1 : 1)).slice(0, most)
    const ids = new Set<string>(those.map(({ serverId }) => serverId))
    for (const id of this.#servers)
      if (!ids.has(id) && this.#servers.delete(id)) for (const name of perServer) this.#forget(name, { server_id: id })
    for (const { serverId: server_id, verdict, rttMs, lastSample, load } of those) {
      this.#servers.add(server_id)
      const figures = [
        verdict.verdict === 'up' ? 1 : 0,
        rttMs === null ? null : rttMs / 1000,
        lastSample && lastSample.sent > 0 ? 1 - lastSample.received / lastSample.sent : null,
        load,
      ]
      for (const [index, name] of perServer.entries()) {
        const value = figures[index] ?? null
        if (value === null) this.#forget(name, { server_id })
        else this.#tell.gauge(name, { server_id }, value)
      }
    }
    this.#tell.gauge('pintail_servers_without_series', {}, servers.length - those.length)
  }

  #forget(name: MetricName, labels: Readonly<Record<string, string>>): void {
    try {
      this.#metrics.forget?.(name, labels)
    } catch {
      // A series too many hurts nobody.
    }
  }
}

const scopeOf = (audience: string | null): 'all' | 'audience' => (audience === null ? 'all' : 'audience')
