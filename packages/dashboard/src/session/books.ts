import type {
  WireEvacuation,
  WireEvent,
  WireIncident,
  WireMigration,
  WirePause,
  WirePolicy,
  WireServer,
  WireStatus,
} from '@pintail/core/wire'
import { emptyModel, isEnded, type Link, type Model } from './model.ts'
import type { ActionName } from './requests.ts'

/** What has ended is kept up to this many of each kind: a tab that is open for days must not grow. */
const keptEnded = 100

/** What an event left open: the picture says it, or the lists of what is over. */
export type Reading = 'picture' | 'history'

const nothing: readonly Reading[] = []
const picture: readonly Reading[] = ['picture']
const both: readonly Reading[] = ['picture', 'history']

/**
 * The picture as it is put together: events patch what they tell in full, pictures settle all the rest. Knows no clock and no
 * network.
 */
export class Books {
  #model: Model = emptyModel
  /** Events newer than the picture that is being read: put onto it again. */
  #since: WireEvent[] | null = null
  seq = 0

  get model(): Model {
    return this.#model
  }

  /** Between this and `take` events are remembered, because the picture may be older than they are. */
  beginReading(): void {
    this.#since = []
  }

  take(status: WireStatus, clockOffsetMs: number): readonly Reading[] {
    const { servers, migrations, evacuations, incidents, guards, pauses, ...fleet } = status
    const old = this.#model
    const open = migrations.filter((one) => !isEnded(one))
    const openIds = new Set(open.map(({ id }) => id))
    // One that was open and is not in the picture has ended, or was deleted: the lists know.
    const lost = old.migrations.some((one) => !isEnded(one) && !openIds.has(one.id))
    const over = old.migrations.filter((one) => isEnded(one) && !openIds.has(one.id))
    const sorted = inOrder(servers)
    this.#set({
      fleet,
      servers: sorted,
      serverById: indexed(sorted),
      migrations: [...open, ...over],
      evacuations: merged(evacuations, old.evacuations, ({ ended_at }) => ended_at !== null),
      incidents: merged(incidents, old.incidents, ({ status }) => status !== 'open'),
      guards,
      pauses,
      progress: new Map([...old.progress].filter(([id]) => openIds.has(id))),
      clockOffsetMs,
      readAt: Date.parse(status.at),
    })
    this.seq = status.last_seq
    const since = this.#since ?? []
    this.#since = null
    const wanted = new Set<Reading>(lost ? ['history'] : [])
    for (const event of since) if (event.seq === 0 || event.seq > status.last_seq) for (const one of this.apply(event)) wanted.add(one)
    return [...wanted]
  }

  takeHistory(migrations: readonly WireMigration[], evacuations: readonly WireEvacuation[], incidents: readonly WireIncident[]): void {
    const old = this.#model
    const open = old.migrations.filter((one) => !isEnded(one))
    const openIds = new Set(open.map(({ id }) => id))
    const over = migrations.filter((one) => isEnded(one) && !openIds.has(one.id)).slice(0, keptEnded)
    const ended = ({ ended_at }: WireEvacuation): boolean => ended_at !== null
    this.#set({
      migrations: [...open, ...over],
      evacuations: merged(
        old.evacuations.filter((one) => !ended(one)),
        evacuations,
        ended,
      ),
      incidents: merged(
        old.incidents.filter(({ status }) => status === 'open'),
        incidents,
        ({ status }) => status !== 'open',
      ),
    })
  }

  setPolicy(policy: WirePolicy | null): void {
    this.#set({ policy })
  }

  setLink(link: Link): void {
    this.#set({ link })
  }

  deny(action: ActionName): void {
    this.#set({ denied: new Set([...this.#model.denied, action]) })
  }

  forget(): void {
    this.#model = { ...emptyModel, link: this.#model.link }
    this.#since = null
    this.seq = 0
  }

  /** A record that was just read or changed. */
  putMigration(record: WireMigration): void {
    const { migrations } = this.#model
    if (migrations.some(({ id }) => id === record.id)) this.#migration(record.id, record)
    else this.#set({ migrations: [record, ...migrations] })
  }

  putEvacuation(record: WireEvacuation): void {
    const { evacuations } = this.#model
    const known = evacuations.some(({ id }) => id === record.id)
    this.#set({ evacuations: known ? evacuations.map((one) => (one.id === record.id ? record : one)) : [record, ...evacuations] })
  }

  putIncident(record: WireIncident): void {
    this.#set({ incidents: this.#model.incidents.map((one) => (one.id === record.id ? record : one)) })
  }

  putPauses(pauses: readonly WirePause[]): void {
    this.#set({ pauses })
  }

  /** @returns what has to be read, because the event names it only */
  apply(event: WireEvent): readonly Reading[] {
    this.#since?.push(event)
    // Bounded too: whoever waits so long for a picture gets a gap, and with it another picture.
    if (this.#since && this.#since.length > 20_000) this.#since.shift()
    if (event.seq > 0) this.seq = Math.max(this.seq, event.seq)
    return this.#applied(event)
  }

  #applied({ type, data, timestamp }: WireEvent): readonly Reading[] {
    switch (type) {
      case 'server.verdict_changed': {
        if (data.audience !== null) return picture
        const { verdict, reasons, votes } = data
        this.#server(data.server_id, { verdict: { verdict, since: timestamp, reasons, ...(votes && { votes }) } })
        return picture
      }
      case 'server.status_set':
        this.#server(data.server_id, { status: data.status })
        return nothing
      case 'server.cordoned':
      case 'server.uncordoned':
        this.#server(data.server_id, { cordoned: type === 'server.cordoned' })
        return nothing
      case 'migration.status_changed':
        this.#migration(data.id, { status: data.new_status, ...(isEnded({ status: data.new_status }) && { completed_at: timestamp }) })
        return isEnded({ status: data.new_status }) ? both : picture
      case 'migration.progress': {
        const { id, progress, moved, failed, expected_end_at } = data
        this.#migration(id, {
          progress,
          data_sync_progress: progress,
          connections_moved: moved,
          connections_failed: failed,
          expected_end_at,
        })
        if (this.#model.migrations.some((one) => one.id === id))
          this.#set({ progress: new Map(this.#model.progress).set(id, data.message) })
        return nothing
      }
      case 'migration.completed': {
        const { id, connections_moved, connections_failed } = data
        this.#migration(id, { status: 'completed', progress: 100, completed_at: timestamp, connections_moved, connections_failed })
        return both
      }
      case 'migration.failed': {
        const { id, error, rollback_success, residue } = data
        this.#migration(id, { status: 'failed', error_message: error, completed_at: timestamp, rollback_success, residue })
        return both
      }
      case 'migration.cancelled':
        this.#migration(data.id, { status: 'cancelled', completed_at: timestamp, cancelled_why: data.why })
        return both
      case 'migration.deleted':
        this.#set({ migrations: this.#model.migrations.filter(({ id }) => id !== data.id) })
        return nothing
      case 'pause.set':
      case 'pause.lifted': {
        const others = this.#model.pauses.filter(({ scope }) => !sameScope(scope, data.scope))
        this.#set({ pauses: type === 'pause.lifted' ? others : [...others, { scope: data.scope, reason: data.reason, until: data.until }] })
        return picture
      }
      case 'evacuation.completed':
      case 'evacuation.cancelled':
      case 'incident.recovered':
      case 'incident.closed':
        return both
      case 'server.added':
      case 'server.removed':
      case 'incident.opened':
      case 'incident.held':
      case 'incident.released':
      case 'incident.acknowledged':
      case 'guard.denied':
      case 'guard.overridden':
      case 'evacuation.created':
      case 'evacuation.approved':
      case 'migration.created':
      case 'migration.rescheduled':
      case 'failback.changed':
      case 'domain.failed':
      case 'domain.recovered':
      case 'vantage.lost':
      case 'vantage.returned':
      case 'leader.acquired':
      case 'leader.lost':
      case 'policy.changed':
        return picture
      default:
        // Single users' moves and the like, and what a newer server tells: they wait for the next picture.
        return nothing
    }
  }

  #server(id: string, patch: Partial<WireServer>): void {
    const old = this.#model.serverById.get(id)
    if (!old) return
    const next = { ...old, ...patch }
    const servers = this.#model.servers.map((one) => (one === old ? next : one))
    this.#set({ servers, serverById: new Map(this.#model.serverById).set(id, next) })
  }

  #migration(id: string, patch: Partial<WireMigration>): void {
    const index = this.#model.migrations.findIndex((one) => one.id === id)
    const old = this.#model.migrations[index]
    if (!old) return
    const next = { ...old, ...patch }
    if (isEnded(next) && !isEnded(old)) {
      const others = this.#model.migrations.filter((one) => one !== old)
      const open = others.filter((one) => !isEnded(one))
      this.#set({ migrations: [...open, next, ...others.filter(isEnded).slice(0, keptEnded - 1)] })
    } else this.#set({ migrations: this.#model.migrations.with(index, next) })
  }

  #set(patch: Partial<Model>): void {
    this.#model = { ...this.#model, ...patch }
  }
}

const collator = new Intl.Collator('en', { numeric: true })
/** Comparing figures within names costs a second for 100,000 servers. */
const mostCompared = 5000

/** By name, `fra-2` before `fra-10`. */
function inOrder(servers: readonly WireServer[]): readonly WireServer[] {
  const compare = servers.length <= mostCompared ? collator.compare : (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
  return [...servers].sort((a, b) => compare(a.name, b.name) || (a.server_id < b.server_id ? -1 : 1))
}

const indexed = (servers: readonly WireServer[]): ReadonlyMap<string, WireServer> => new Map(servers.map((one) => [one.server_id, one]))
const sameScope = (a: WirePause['scope'], b: WirePause['scope']): boolean => JSON.stringify(a) === JSON.stringify(b)

/** What is new, and of the old what is over and not among it. */
function merged<T extends { readonly id: string }>(fresh: readonly T[], old: readonly T[], isOver: (one: T) => boolean): readonly T[] {
  const ids = new Set(fresh.map(({ id }) => id))
  return [...fresh, ...old.filter((one) => isOver(one) && !ids.has(one.id)).slice(0, keptEnded)]
}
