import type { Problem } from './errors.ts'
import { PintailError } from './errors.ts'
import type { ConnectionInput, SampleInput, ServerInput } from './ports.ts'
import type { Connection, ConnectionId, JsonObject, Mobility, Needs, Sample, Server, ServerId, ServerStatus } from './vocabulary.ts'

/**
 * The only place that mints ids: plain rows in, `Server` and `Connection` out, or every problem of the row.
 * Written by hand, because a listing may have a million rows.
 */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly Problem[] }

const hostLabel = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i
const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/

function isIpv6(text: string): boolean {
  if (!/^[0-9a-f:.]{2,45}$/i.test(text) || !text.includes(':')) return false
  // URL knows the grammar of IPv6 (::, embedded IPv4) and rejects everything else.
  return URL.canParse(`http://[${text}]/`)
}

/**
 * A host that is safe to hand to any prober: an IPv4 or IPv6 address, or a DNS name of at most 253 characters.
 * Never begins with `-`, has no control, shell or white-space character, no port, no zone and no brackets.
 * @throws PintailError `invalid_host`
 */
export function parseHost(value: unknown): string {
  const refuse = (message: string) =>
    new PintailError('invalid_host', `${message}: ${shorten(value)}`, {
      remedy: 'Give an IPv4 address, an IPv6 address without brackets, or a DNS name, without port or scheme.',
    })
  if (typeof value !== 'string') throw refuse('a host must be a string')
  if (value.length === 0 || value.length > 253) throw refuse('a host has 1 to 253 characters')
  if (value.includes(':')) {
    if (!isIpv6(value)) throw refuse('not an IPv6 address')
    return value.toLowerCase()
  }
  if (/^[\d.]+$/.test(value)) {
    if (!ipv4.test(value)) throw refuse('not an IPv4 address')
    return value
  }
  const name = value.endsWith('.') ? value.slice(0, -1) : value
  if (!name.split('.').every((label) => hostLabel.test(label))) throw refuse('not a DNS name')
  return name.toLowerCase()
}

/** A value as text for a message: at most 80 characters, control characters escaped. */
export function shorten(value: unknown): string {
  let text: string
  try {
    text =
      typeof value === 'string'
        ? JSON.stringify(value)
        : typeof value === 'object' && value !== null
          ? (JSON.stringify(value) ?? 'object')
          : String(value)
  } catch {
    text = 'an object that is not JSON'
  }
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

class Row {
  readonly problems: Problem[] = []
  readonly row: Record<string, unknown>

  constructor(row: unknown) {
    this.row = typeof row === 'object' && row !== null && !Array.isArray(row) ? (row as Record<string, unknown>) : {}
    if (this.row !== row) this.problem('', row, 'must be an object')
  }

  problem(path: string, value: unknown, message: string): void {
    this.problems.push({ path, message, value: shorten(value) })
  }

  id(field: string): { id: string; raw: string | number } {
    const raw = this.row[field]
    if ((typeof raw === 'string' && raw.length >= 1 && raw.length <= 200) || (typeof raw === 'number' && Number.isSafeInteger(raw)))
      return { id: String(raw), raw }
    this.problem(field, raw, 'must be a string of 1 to 200 characters or a whole number')
    return { id: '', raw: '' }
  }

  text(field: string, longest = 253): string | null {
    const value = this.row[field]
    if (value === undefined || value === null) return null
    if (typeof value === 'string' && value.length <= longest) return value
    this.problem(field, value, `must be a string of at most ${longest} characters`)
    return null
  }

  number(field: string, low: number, high: number, whole: boolean): number | null {
    const value = this.row[field]
    if (value === undefined || value === null) return null
    if (typeof value === 'number' && value >= low && value <= high && (!whole || Number.isInteger(value))) return value
    this.problem(field, value, `must be a ${whole ? 'whole ' : ''}number from ${low} to ${high}`)
    return null
  }

  word<T extends string>(field: string, allowed: readonly T[], fallback: T): T {
    const value = this.row[field]
    if (value === undefined || value === null) return fallback
    if (allowed.includes(value as T)) return value as T
    this.problem(field, value, `must be one of ${allowed.join(', ')}`)
    return fallback
  }

  words(value: unknown, field: string): readonly string[] | null {
    if (value === undefined || value === null) return null
    if (Array.isArray(value) && value.length <= 100 && value.every((item) => typeof item === 'string' && item.length <= 100)) return value
    this.problem(field, value, 'must be a list of at most 100 strings')
    return null
  }

  meta(): JsonObject | null {
    const value = this.row.meta
    if (value === undefined || value === null) return null
    let size = Number.POSITIVE_INFINITY
    try {
      size = typeof value === 'object' && !Array.isArray(value) ? JSON.stringify(value).length : size
    } catch {}
    if (size <= 1024) return value as JsonObject
    // Without the value: meta is the adapter's own and may hold a secret.
    this.problems.push({ path: 'meta', message: 'must be an object of at most 1 KiB as JSON' })
    return null
  }

  done<T>(make: () => T): Parsed<T> {
    return this.problems.length === 0 ? { ok: true, value: make() } : { ok: false, problems: this.problems }
  }
}

const statuses = ['online', 'offline', 'maintenance'] as const satisfies readonly ServerStatus[]
const mobilities = ['free', 'failure-only', 'pinned'] as const satisfies readonly Mobility[]

/** @returns the server, or every problem of the row */
export function parseServer(input: ServerInput): Parsed<Server> {
  const row = new Row(input)
  const { id, raw } = row.id('id')
  let host = ''
  try {
    host = parseHost(row.row.host)
  } catch (error) {
    row.problem('host', row.row.host, (error as Error).message)
  }
  const at = row.row.coordinates as Record<string, unknown> | null | undefined
  const degrees = (value: unknown, most: number): value is number => typeof value === 'number' && Math.abs(value) <= most
  const located = at && degrees(at.latitude, 90) && degrees(at.longitude, 180)
  if (at !== undefined && at !== null && !located)
    row.problem('coordinates', at, 'must have latitude (-90 to 90) and longitude (-180 to 180)')
  const server = {
    id: id as ServerId,
    rawId: raw,
    host,
    name: row.text('name') ?? id,
    status: row.word('status', statuses, 'online'),
    port: row.number('port', 1, 65_535, true),
    region: row.text('region', 100),
    country: row.text('country', 100),
    coordinates: located ? { latitude: at.latitude as number, longitude: at.longitude as number } : null,
    failureDomain: row.text('failureDomain', 100),
    capacity: row.number('capacity', 0, 1e9, true),
    load: row.number('load', 0, 1e9, true),
    protocols: row.words(row.row.protocols, 'protocols') ?? [],
    priceEurHour: row.number('priceEurHour', 0, 1e6, false),
    meta: row.meta(),
  }
  return row.done(() => server)
}

const noNeeds: Needs = {}

/** @returns the connection, or every problem of the row */
export function parseConnection(input: ConnectionInput): Parsed<Connection> {
  const row = new Row(input)
  const { id, raw } = row.id('id')
  let needs = noNeeds
  if (row.row.needs !== undefined && row.row.needs !== null) {
    const given = row.row.needs as Record<string, unknown>
    const protocols = row.words(given.protocols, 'needs.protocols')
    const countries = row.words(given.countries, 'needs.countries')
    const regions = row.words(given.regions, 'needs.regions')
    needs = { ...(protocols && { protocols }), ...(countries && { countries }), ...(regions && { regions }) }
  }
  const optionalId = (field: string) => (row.row[field] === undefined || row.row[field] === null ? null : row.id(field).id)
  const connection = {
    id: id as ConnectionId,
    rawId: raw,
    userId: optionalId('userId'),
    region: row.text('region', 100),
    needs,
    mobility: row.word('mobility', mobilities, 'free'),
    tier: row.number('tier', -1000, 1000, true) ?? 0,
    preferredServer: optionalId('preferredServer') as ServerId | null,
    meta: row.meta(),
  }
  return row.done(() => connection)
}

/** @returns the sample, or every problem of it: impossible results (more answers than packets, negative or NaN times) are refused here */
export function parseSample(input: SampleInput): Parsed<Sample> {
  const row = new Row(input)
  const { id } = row.id('serverId')
  const sent = row.number('sent', 1, 10_000, true)
  const received = row.number('received', 0, 10_000, true)
  const sentAt = row.number('sentAt', 0, 8.64e15, false)
  const rttMs = row.row.rttMs ?? []
  if (sent === null || received === null || sentAt === null) row.problem('', undefined, 'sent, received and sentAt are needed')
  else if (received > sent) row.problem('received', received, `must not be more than sent (${sent})`)
  if (!Array.isArray(rttMs) || rttMs.length > (received ?? 0) || !rttMs.every((ms) => typeof ms === 'number' && ms >= 0 && ms < 1e7))
    row.problem('rttMs', rttMs, 'must be a list of milliseconds, at most one for each answer')
  const sample = {
    serverId: id as ServerId,
    vantage: row.text('vantage', 100) ?? 'local',
    prober: row.text('prober', 100) ?? 'unknown',
    sentAt: sentAt ?? 0,
    sent: sent ?? 0,
    received: received ?? 0,
    rttMs: rttMs as readonly number[],
    failure: (row.row.failure ?? null) as Sample['failure'],
  }
  return row.done(() => sample)
}

/** An id of a server as callers may give it. */
export type ServerRef = string | number
/** @throws PintailError `invalid_argument` */
export function serverId(ref: ServerRef): ServerId {
  const row = new Row({ id: ref })
  const { id } = row.id('id')
  if (row.problems.length > 0) throw new PintailError('invalid_argument', `not the id of a server: ${shorten(ref)}`)
  return id as ServerId
}
