import type { Coordinates, Json } from '@pintail/core'
import { parseHost } from '@pintail/core'

type Row = Readonly<Record<string, unknown>>
export const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * A server as VPN Duck lists it. Only these fields are ever read: `private_key`, `api_key`, `hmac_secret` and the OAuth
 * secrets, which both generations answer with, end at this parser.
 */
export interface DuckServer {
  /** `"3"` and `3` are one id. */
  readonly id: string
  /** As it was given: v1 numbers, v2 texts. */
  readonly rawId: string | number
  /** v2's second name of a server, `srv-1a2b3c4d`. */
  readonly slug: string | null
  readonly name: string | null
  /** VPN Duck's own word: active, inactive, degraded, maintenance, error, or one that it has learnt since. */
  readonly status: string
  /** Null: there is none, or none that is a host. */
  readonly host: string | null
  readonly port: number | null
  readonly geolocationId: number | null
  /** What people call the place: v2's geolocation_name. */
  readonly geolocationName: string | null
  readonly country: string | null
  readonly coordinates: Coordinates | null
  /** v2's max_peers. */
  readonly capacity: number | null
}

/** A row of active_connections: that a user was seen on a server. It says nothing of where he is assigned. */
export interface DuckSession {
  readonly rowId: number
  readonly userId: number
  readonly server: string
  /** Milliseconds since 1970 by the database's clock; a date without a zone counts as UTC. 0: unknown. */
  readonly connectedAt: number
  readonly lastActivity: number
  /** v1: of the user's active configuration. */
  readonly geolocationId: number | null
}

/** A user's active configuration: where he is assigned. Without its text and its keys but the public one. */
export interface DuckConfiguration {
  readonly server: string | null
  readonly geolocationId: number | null
  readonly publicKey: string | null
}

const text = (value: unknown): string | null => (typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, 253) : null)

/** A whole number that was given as one or as its text: v2 has both. */
export function whole(value: unknown): number | null {
  const number = typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : value
  return Number.isSafeInteger(number) ? (number as number) : null
}

const idOf = (value: unknown): string | null => {
  const number = whole(value)
  return number !== null ? String(number) : text(value)
}

/** RFC 1123 as Flask writes it, or ISO 8601; without a zone it is UTC, which is what their containers run in. */
export function parseDate(value: unknown): number | null {
  if (typeof value !== 'string') return null
  const isNaive = /^\d{4}-\d\d-\d\d[T ][\d:.]+$/.test(value)
  const at = Date.parse(isNaive ? `${value.replace(' ', 'T')}Z` : value)
  return Number.isNaN(at) ? null : at
}

/** Host and port of an endpoint, which people have written with scheme, port or brackets. */
function parseEndpoint(value: unknown): { host: string | null; port: number | null } {
  const given =
    text(value)
      ?.replace(/^[a-z][\w+.-]*:\/\//i, '')
      .replace(/[/?#].*$/, '') ?? ''
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*|[0-9a-f:.]*))(?::(\d{1,5}))?$/i.exec(given) ?? []
  try {
    return { host: parseHost(bracketed ?? plain), port: port === undefined ? null : portOf(port) }
  } catch {
    return { host: null, port: null }
  }
}

const portOf = (value: unknown): number | null => {
  const port = whole(value)
  return port !== null && port >= 1 && port <= 65_535 ? port : null
}

const within = (value: unknown, most: number): number | null => (typeof value === 'number' && Math.abs(value) <= most ? value : null)

/** @returns null: not a server, it has no id */
export function parseServer(row: unknown): DuckServer | null {
  if (!isRow(row)) return null
  const id = idOf(row.id)
  if (id === null) return null
  const { host, port } = parseEndpoint(row.endpoint)
  const [latitude, longitude] = [within(row.latitude, 90), within(row.longitude, 180)]
  const peers = whole(row.max_peers)
  // Early v2 lists no status at all, and later v2 derives it from is_active.
  const derived = typeof row.is_active === 'boolean' ? (row.is_active ? 'active' : 'inactive') : 'active'
  return {
    id,
    rawId: typeof row.id === 'number' ? row.id : id,
    slug: whole(row.server_id) === null ? text(row.server_id) : null,
    name: text(row.name) ?? text(row.city),
    status: text(row.status)?.toLowerCase().slice(0, 50) ?? derived,
    host,
    port: portOf(row.port) ?? port,
    geolocationId: whole(row.geolocation_id),
    geolocationName: text(row.geolocation_name),
    country: text(row.country)?.slice(0, 100) ?? null,
    coordinates: latitude === null || longitude === null ? null : { latitude, longitude },
    capacity: peers !== null && peers >= 0 && peers <= 10_000_000 ? peers : null,
  }
}

/** @returns null: nobody, it has no user_id */
export function parseSession(row: unknown, server: string): DuckSession | null {
  if (!isRow(row)) return null
  const userId = whole(row.user_id)
  if (userId === null) return null
  const connectedAt = parseDate(row.connected_at) ?? 0
  return {
    rowId: whole(row.id) ?? 0,
    userId,
    server,
    connectedAt,
    lastActivity: parseDate(row.last_activity) ?? connectedAt,
    geolocationId: whole(row.geolocation_id),
  }
}

/** Flat in v1 and at v2's head, wrapped in `config` in between. */
export function parseConfiguration(body: unknown): DuckConfiguration | null {
  const row = isRow(body) && isRow(body.config) ? body.config : body
  if (!isRow(row) || whole(row.user_id) === null) return null
  return { server: idOf(row.server_id), geolocationId: whole(row.geolocation_id), publicKey: text(row.public_key) }
}

/** Negative: the first is older. A user lives where he was active last. */
function byActivity(a: DuckSession, b: DuckSession): number {
  return a.lastActivity - b.lastActivity || a.connectedAt - b.connectedAt || a.rowId - b.rowId
}

export function newest(rows: readonly DuckSession[]): DuckSession | null {
  return rows.reduce<DuckSession | null>((best, row) => (best === null || byActivity(best, row) < 0 ? row : best), null)
}

/** The rows of each user: he has as many as he has connected. */
export function byUser(sessions: Iterable<DuckSession>): Map<number, DuckSession[]> {
  const users = new Map<number, DuckSession[]>()
  for (const session of sessions) {
    const rows = users.get(session.userId)
    if (rows) rows.push(session)
    else users.set(session.userId, [session])
  }
  return users
}

/** Which of a user's rows are known: later ones have a later date, or a higher id. */
export interface Seen {
  readonly connectedAt: number
  readonly rowId: number
}

export const seenNothing: Seen = { connectedAt: Number.NEGATIVE_INFINITY, rowId: Number.NEGATIVE_INFINITY }
export const seenEverything: Seen = { connectedAt: Number.POSITIVE_INFINITY, rowId: Number.POSITIVE_INFINITY }

export function seenOf(rows: readonly DuckSession[]): Seen {
  return {
    connectedAt: Math.max(seenNothing.connectedAt, ...rows.map(({ connectedAt }) => connectedAt)),
    rowId: Math.max(seenNothing.rowId, ...rows.map(({ rowId }) => rowId)),
  }
}

/** He has connected since: dates have whole seconds, so that the id decides within one. A row that is only still in use is not new. */
export function isNews(row: DuckSession, seen: Seen): boolean {
  return row.connectedAt > seen.connectedAt || (row.connectedAt === seen.connectedAt && row.rowId > seen.rowId)
}

/**
 * The text that the user's client is to load. Null where it could not connect with it: VPN Duck writes a template with
 * a placeholder for the private key when it has no text for that server.
 */
export function usableConfig(row: Row): Json {
  const config = row.config
  return typeof config === 'string' && config !== '' && !/^\s*PrivateKey\s*=\s*<[^>]*>\s*$/m.test(config) ? config : null
}
