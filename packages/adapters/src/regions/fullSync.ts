import { type CallContext, type Clock, errorText, isPintailError, type Json, type Logger, PintailError, type Random } from '@pintail/core'
import type { AccessBook, AccessRow, AccessServer } from '../access/book.ts'
import { type Asking, errorOf } from './asking.ts'
import { forGrant } from './epochs.ts'
import { newCommand, type Pair, type Result, type WorkerEvent } from './messages.ts'
import type { MoverTally } from './moverFigures.ts'
import { type Schedule, schedule } from './schedule.ts'
import { pagesOf } from './syncPaging.ts'
import type { SyncReport } from './syncReport.ts'
import type { CommandTransport } from './transport.ts'

export interface FullSyncParts {
  readonly transport: CommandTransport
  readonly access: AccessBook
  readonly asking: Asking
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly timeoutMs: number
  /** Null: only when asked for, or when a worker needs it. */
  readonly everyMs: number | null
  leads(): number | null
  regionOf(server: AccessServer): string | null
  /** Fences older leaders off, and says up to what the books are read; on the wire. */
  begin(token: number): Promise<Pair>
  /** Connections with a call under way. */
  underWay(): Iterable<string>
  heard(serverId: string): void
  readonly tally: MoverTally
  onDrift(report: SyncReport): void
}

export interface FullSyncs {
  now(serverId: string | null, ctx: CallContext): Promise<readonly SyncReport[]>
  /** A call for this connection begins: whoever reads the books now leaves it. */
  begun(connectionId: string): void
  /** A worker has given a sign of life for this server. */
  heard(serverId: string): void
  close(): void
}

/** Syncs at once. */
const atOnce = 8
/** Rows of the books read at once. */
const rowsAtOnce = 2000
/** A sync may take longer than a call, by this factor: it may have to make every peer of a server. */
const patience = 3

/** Compares what workers have with what the books want, server by server, for as long as this engine leads. */
export function fullSyncs(parts: FullSyncParts): FullSyncs {
  const { access, leads, logger } = parts
  const closing = new AbortController()
  /** Whom the readers of this moment have to leave. */
  const readers = new Set<Set<string>>()
  const underWay = new Map<string, Promise<SyncReport>>()

  const one = (server: AccessServer, token: number, ctx: CallContext): Promise<SyncReport> => {
    const running = underWay.get(server.id)
    if (running) return running
    const run = syncOf(parts, readers, server, token, ctx).finally(() => underWay.delete(server.id))
    underWay.set(server.id, run)
    return run
  }
  const plan: Schedule = schedule({
    ...parts,
    atOnce,
    servers: () => Promise.resolve(access.servers({ signal: closing.signal })),
    sync: (server, token) => one(server, token, { signal: closing.signal }),
  })
  const endEvents = parts.transport.onEvent((event) => {
    if (leads() === null || !needsSync(event)) return
    logger.debug({ region: event.region, serverId: event.serverId }, `a worker tells ${event.type}: its servers are synced`)
    plan.hurry((server) => concerns(event, server.id, parts.regionOf(server)))
  })
  return {
    now: async (serverId, ctx) => {
      const token = leads()
      if (token === null) throw new PintailError('not_leader', 'only the engine that leads syncs', { remedy: 'Give the mover `leads`.' })
      const all = await access.servers(ctx)
      const asked = serverId === null ? all : all.filter(({ id }) => id === serverId)
      if (serverId !== null && asked.length === 0) throw new PintailError('not_found', `there is no server ${serverId}`)
      const reports: SyncReport[] = []
      const rest = asked.values()
      const next = async (): Promise<void> => {
        for (const server of rest) reports.push(await one(server, token, ctx))
      }
      await Promise.all(Array.from({ length: Math.min(atOnce, asked.length) }, next))
      return reports
    },
    begun: (connectionId) => {
      for (const leave of readers) leave.add(connectionId)
    },
    heard: (serverId) => plan.heard(serverId),
    close: () => {
      closing.abort()
      endEvents()
      plan.close()
    },
  }
}

/** Somebody may have lost something. */
const needsSync = ({ type, data }: WorkerEvent): boolean =>
  (type === 'worker.started' && data.bookIsEmpty !== false) ||
  ['effect.late', 'sync.given_up', 'consumer.made_again', 'stream.made_again'].includes(type)

function concerns({ serverId, region, data }: WorkerEvent, id: string, itsRegion: string | null): boolean {
  if (itsRegion !== region) return false
  if (serverId !== null) return serverId === id
  return Array.isArray(data.servers) ? data.servers.includes(id) : true
}

async function syncOf(
  parts: FullSyncParts,
  readers: Set<Set<string>>,
  server: AccessServer,
  token: number,
  ctx: CallContext,
): Promise<SyncReport> {
  const { tally, logger } = parts
  const region = parts.regionOf(server)
  const nothing = { serverId: server.id, region, wanted: 0, missing: 0, changed: 0, extra: 0, foreign: 0 }
  let report: SyncReport
  try {
    if (region === null) throw new PintailError('rejected', 'it has no region, so no worker')
    report = await applied(parts, readers, server.id, region, token, ctx)
  } catch (error) {
    const status = isPintailError(error, 'timeout') ? 'unanswered' : 'failed'
    report = { ...nothing, status, error: errorText(error) }
  }
  if (report.status === 'applied') tally.syncs++
  else tally.syncsFailed++
  tally.driftMissing += report.missing
  tally.driftChanged += report.changed
  tally.driftExtra += report.extra
  if (report.missing + report.changed + report.extra > 0) {
    logger.warn({ ...report }, `server ${server.id} was not as the books say`)
    try {
      parts.onDrift(report)
    } catch (error) {
      logger.error({ error: errorText(error) }, 'onDrift has thrown')
    }
  }
  return report
}

async function applied(
  parts: FullSyncParts,
  readers: Set<Set<string>>,
  serverId: string,
  region: string,
  token: number,
  ctx: CallContext,
): Promise<SyncReport> {
  const { asking, access, clock, timeoutMs, transport } = parts
  // In this order: whoever is under way now, or sets out while the books are read, is not judged by what was read.
  const leave = new Set(parts.underWay())
  readers.add(leave)
  let rows: readonly AccessRow[]
  let mark: Pair
  try {
    mark = await parts.begin(token)
    rows = await rowsOn(access, serverId, ctx)
  } finally {
    readers.delete(leave)
  }
  const wanted = rows.filter(isWanted)
  const entries = wanted.map((row) => ({ connectionId: row.connectionId, ...forGrant(row), payload: row.payload }))
  const waitMs = patience * timeoutMs
  const issuedAt = clock.now()
  const head = { type: 'access.sync', region, serverId, connectionId: '*', ...mark, replyTo: transport.replyTo, traceId: null } as const
  const commands = pagesOf(entries, [...leave]).map((page) =>
    newCommand({ ...head, issuedAt, deadline: issuedAt + waitMs, payload: page as unknown as Json }),
  )
  parts.tally.published += commands.length
  const results = await Promise.all(commands.map((command) => asking.ask(command, waitMs, ctx)))
  parts.heard(serverId)
  const report = reportOf(serverId, region, wanted.length, results)
  const gone = rows.filter((row) => !isWanted(row) && !leave.has(row.connectionId))
  if (report.status === 'applied' && gone.length > 0) await access.forget(serverId, gone, ctx)
  return report
}

const isWanted = ({ wanted, isTentative }: AccessRow): boolean => wanted === 'granted' && !isTentative

async function rowsOn(access: AccessBook, serverId: string, ctx: CallContext): Promise<readonly AccessRow[]> {
  const rows: AccessRow[] = []
  for (let after: string | null = null; ; ) {
    const page: readonly AccessRow[] = await access.rowsOn(serverId, { after, limit: rowsAtOnce }, ctx)
    rows.push(...page)
    if (page.length < rowsAtOnce) return rows
    after = page.at(-1)?.connectionId ?? after
  }
}

/** The page that made the set whole tells what came of all of it. */
function reportOf(serverId: string, region: string, wanted: number, results: readonly Result[]): SyncReport {
  const whole = results.find(({ payload }) => typeof (payload as { readonly missing?: unknown } | null)?.missing === 'number')
  const found = (whole?.payload ?? {}) as { readonly [name: string]: Json }
  const count = (name: string): number => (typeof found[name] === 'number' ? found[name] : 0)
  const error = results.map(errorOf).find((one) => one !== null) ?? null
  const code = whole?.code ?? null
  const failed = code === 'HELD' ? 'held' : code === 'INCOMPLETE' ? 'incomplete' : 'failed'
  return {
    serverId,
    region,
    status: error ? failed : 'applied',
    wanted,
    missing: count('missing'),
    changed: count('changed'),
    extra: count('extra'),
    foreign: count('foreign'),
    error: error ? errorText(error) : null,
  }
}
