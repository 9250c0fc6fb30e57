import type { Problem } from './errors.ts'
import { errorText, PintailError } from './errors.ts'
import type { ConnectionInput, GuardState, SampleInput, ServerInput } from './ports.ts'
import type {
  Connection,
  ConnectionId,
  EvacuationId,
  Json,
  JsonObject,
  MigrationId,
  MigrationReason,
  Mobility,
  Needs,
  PauseScope,
  ProbeFailure,
  ProbeFailureKind,
  Resources,
  Sample,
  Server,
  ServerId,
  ServerStatus,
} from './vocabulary.ts'

/**
 * The only place that mints ids: plain rows in, `Server` and `Connection` out, or every problem of the row and its id,
 * if at least that is right. Written by hand, because a listing may have a million rows.
 */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly id: string | null; readonly problems: readonly Problem[] }

const hostLabel = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i
const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/
// `127.1`, `0x7f000001` and `010.0.0.1` are addresses to some programs and names to others.
const looksLikeAnAddress = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/i

// A name with a dot at its end is the same name, and so is one in capitals.
const normal = (host: string): string => host.toLowerCase().replace(/\.$/, '')

/** Why this is no host that is safe to hand to any prober; null: it is one. */
export function hostProblem(value: unknown): string | null {
  if (typeof value !== 'string') return 'a host must be a string'
  if (value.length === 0 || value.length > 253) return 'a host has 1 to 253 characters'
  // URL knows the grammar of IPv6 (::, embedded IPv4) and rejects everything else.
  if (value.includes(':')) return /^[0-9a-f:.]+$/i.test(value) && URL.canParse(`http://[${value}]/`) ? null : 'not an IPv6 address'
  if (ipv4.test(value)) return null
  const name = value.endsWith('.') ? value.slice(0, -1) : value
  if (looksLikeAnAddress.test(name)) return 'not an IPv4 address'
  return name.split('.').every((label) => hostLabel.test(label)) ? null : 'not a DNS name'
}

/**
 * A host that is safe to hand to any prober: an IPv4 or IPv6 address, or a DNS name of at most 253 characters.
 * Never begins with `-`, has no control, shell or white-space character, no port, no zone and no brackets.
 * @throws PintailError `invalid_host`
 */
export function parseHost(value: unknown): string {
  const problem = hostProblem(value)
  if (problem === null) return normal(value as string)
  throw new PintailError('invalid_host', `${problem}: ${shorten(value)}`, {
    remedy: 'Give an IPv4 address, an IPv6 address without brackets, or a DNS name, without port or scheme.',
  })
}

/** A plain value as text for a message: at most 80 characters, none of them able to change how the rest is read. */
export function shorten(value: unknown): string {
  // Not what is in it: that may be a secret, or a megabyte.
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  if (typeof value === 'function') return 'a function'
  const text = typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : String(value)
  const safe = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
  return safe.length > 80 ? `${safe.slice(0, 77)}...` : safe
}

// Lone surrogates would all become the same character in a database.
const isId = (value: unknown): value is string | number =>
  typeof value === 'string'
    ? value.length >= 1 && value.length <= 200 && !/\p{Cc}/u.test(value) && value.isWellFormed()
    : Number.isSafeInteger(value)

class Row {
  readonly problems: Problem[] = []
  readonly row: Record<string, unknown>

  constructor(row: Record<string, unknown>) {
    this.row = row
  }

  problem(path: string, value: unknown, message: string): void {
    this.problems.push({ path, message, value: shorten(value) })
  }

  id(field: string): { id: string; raw: string | number } {
    const raw = this.row[field]
    // -0 is 0, for adapters that write it into a query too.
    if (isId(raw)) return { id: String(raw), raw: raw === 0 ? 0 : raw }
    this.problem(field, raw, 'must be a string of 1 to 200 characters without control characters, or a whole number')
    return { id: '', raw: '' }
  }

  /** An empty text is as good as none: databases are full of them. */
  text(field: string, longest = 253): string | null {
    const value = this.row[field]
    if (value === undefined || value === null || value === '') return null
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

  needed(field: string, low: number, high: number, whole: boolean): number {
    if (this.row[field] === undefined || this.row[field] === null) this.problem(field, this.row[field], 'is needed')
    return this.number(field, low, high, whole) ?? 0
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
    const list: unknown[] = Array.isArray(value) && value.length <= 100 ? [...value] : [null]
    if (list.every((item) => typeof item === 'string' && item.length <= 100)) return list as string[]
    this.problem(field, value, 'must be a list of at most 100 strings')
    return null
  }

  resources(): Resources {
    const value = this.row.resources ?? null
    if (value === null) return unknownResources
    const percent = (field: keyof Resources): number | null => {
      const given = isObject(value) ? value[field] : null
      if (given === undefined || given === null) return null
      if (typeof given === 'number' && given >= 0 && given <= 100) return given
      this.problem(`resources.${field}`, given, 'must be a number from 0 to 100')
      return null
    }
    if (!isObject(value)) this.problem('resources', value, 'must be an object')
    return { cpuPercent: percent('cpuPercent'), memoryPercent: percent('memoryPercent'), diskPercent: percent('diskPercent') }
  }

  /** A copy: what is kept with a move must not change when the host's own object does. */
  meta(): JsonObject | null {
    const value = this.row.meta
    if (value === undefined || value === null) return null
    try {
      const text = JSON.stringify(value)
      const copy: unknown = Buffer.byteLength(text) <= 1024 ? JSON.parse(text) : null
      if (isObject(copy)) return copy as JsonObject
    } catch {}
    // Without the value: meta is the adapter's own and may hold a secret.
    this.problems.push({ path: 'meta', message: 'must be an object of at most 1 KiB as JSON' })
    return null
  }
}

// Shared by all rows that tell nothing: there may be a hundred thousand of them.
const unknownResources: Resources = Object.freeze({ cpuPercent: null, memoryPercent: null, diskPercent: null })
const nothing: readonly string[] = Object.freeze([])

/** What a mover hands out for the user: plain JSON of at most 64 KiB as a copy, otherwise null. */
export function accessOf(value: unknown): Json {
  try {
    const text = JSON.stringify(value)
    return text !== undefined && isPlain(value) && Buffer.byteLength(text) <= 65_536 ? JSON.parse(text) : null
  } catch {
    return null
  }
}

/** No class, function, symbol or number without a JSON form anywhere: what JSON would drop or change is not plain. */
function isPlain(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object') return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value)) return value.every(isPlain)
  return (prototype === Object.prototype || prototype === null) && Object.values(value).every(isPlain)
}

/** A notifier may put what it was to deliver into its error message: nothing of an access gets into events or logs. */
export function withoutAccess(text: string, access: Json): string {
  if (typeof access === 'string') return access.length < 4 ? text : text.replaceAll(access, '***')
  if (typeof access !== 'object' || access === null) return text
  return Object.values(access).reduce<string>((rest, value) => withoutAccess(rest, value as Json), text)
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** A row may be anything, also an object whose getters throw. */
function parse<T>(input: unknown, id: string, read: (row: Row) => T): Parsed<T> {
  let known: string | null = null
  try {
    if (!isObject(input)) return { ok: false, id: null, problems: [{ path: '', message: 'must be an object', value: shorten(input) }] }
    if (isId(input[id])) known = String(input[id])
    const row = new Row(input)
    const value = read(row)
    return row.problems.length === 0 ? { ok: true, value } : { ok: false, id: known, problems: row.problems }
  } catch (error) {
    return { ok: false, id: known, problems: [{ path: '', message: `could not be read: ${errorText(error)}` }] }
  }
}

const statuses = ['online', 'offline', 'maintenance'] as const satisfies readonly ServerStatus[]
const mobilities = ['free', 'failure-only', 'pinned'] as const satisfies readonly Mobility[]
const failures = ['no_reply', 'refused', 'unreachable', 'wrong_answer', 'too_slow'] as const satisfies readonly ProbeFailureKind[]

/** @returns the server, or every problem of the row */
export function parseServer(input: ServerInput): Parsed<Server> {
  return parse(input, 'id', (row) => {
    const { id, raw } = row.id('id')
    const host = row.row.host
    const badHost = hostProblem(host)
    if (badHost !== null) row.problem('host', host, badHost)
    const at = row.row.coordinates as Record<string, unknown> | null | undefined
    const degrees = (value: unknown, most: number): value is number => typeof value === 'number' && Math.abs(value) <= most
    const located = at && degrees(at.latitude, 90) && degrees(at.longitude, 180)
    if (at !== undefined && at !== null && !located)
      row.problem('coordinates', at, 'must have latitude (-90 to 90) and longitude (-180 to 180)')
    return {
      id: id as ServerId,
      rawId: raw,
      host: badHost === null ? normal(host as string) : '',
      name: row.text('name') ?? id,
      status: row.word('status', statuses, 'online'),
      port: row.number('port', 1, 65_535, true),
      region: row.text('region', 100),
      country: row.text('country', 100),
      coordinates: located ? { latitude: at.latitude as number, longitude: at.longitude as number } : null,
      failureDomain: row.text('failureDomain', 100),
      capacity: row.number('capacity', 0, 1e9, true),
      load: row.number('load', 0, 1e9, true),
      resources: row.resources(),
      protocols: row.words(row.row.protocols, 'protocols') ?? nothing,
      features: row.words(row.row.features, 'features') ?? nothing,
      priceEurHour: row.number('priceEurHour', 0, 1e6, false),
      meta: row.meta(),
    }
  })
}

const noNeeds: Needs = Object.freeze({})

/** @returns the connection, or every problem of the row */
export function parseConnection(input: ConnectionInput): Parsed<Connection> {
  return parse(input, 'id', (row) => {
    const { id, raw } = row.id('id')
    const given = row.row.needs ?? noNeeds
    let needs = noNeeds
    if (!isObject(given)) row.problem('needs', given, 'must be an object')
    else if (given !== noNeeds) {
      const protocols = row.words(given.protocols, 'needs.protocols')
      const features = row.words(given.features, 'needs.features')
      const countries = row.words(given.countries, 'needs.countries')
      const regions = row.words(given.regions, 'needs.regions')
      needs = {
        ...(protocols && { protocols }),
        ...(features && { features }),
        ...(countries && { countries }),
        ...(regions && { regions }),
      }
    }
    const optionalId = (field: string) => (row.row[field] === undefined || row.row[field] === null ? null : row.id(field).id)
    return {
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
  })
}

/** @returns the sample, or every problem of it: impossible results (more answers than packets, negative or NaN times) are refused here */
export function parseSample(input: SampleInput): Parsed<Sample> {
  return parse(input, 'serverId', (row) => {
    const { id } = row.id('serverId')
    const sent = row.needed('sent', 1, 10_000, true)
    const received = row.needed('received', 0, 10_000, true)
    const sentAt = row.needed('sentAt', 0, 8.64e15, false)
    const given = row.row.rttMs ?? []
    const rttMs: unknown[] = Array.isArray(given) && given.length <= 10_000 ? [...given] : [null]
    if (!rttMs.every((ms) => typeof ms === 'number' && ms >= 0 && ms < 1e7)) row.problem('rttMs', given, 'must be a list of milliseconds')
    if (row.problems.length === 0 && received > sent) row.problem('received', received, `must not be more than sent (${sent})`)
    if (row.problems.length === 0 && rttMs.length > received)
      row.problem('rttMs', rttMs.length, `must have at most one time for each answer (${received})`)
    return {
      serverId: id as ServerId,
      vantage: row.text('vantage', 100) ?? 'local',
      prober: row.text('prober', 100) ?? 'unknown',
      sentAt,
      sent,
      received,
      rttMs: rttMs as number[],
      failure: failureOf(row),
    }
  })
}

function failureOf(row: Row): ProbeFailure | null {
  const given = row.row.failure ?? null
  if (given === null) return null
  const { kind, layer, detail = null } = isObject(given) ? given : {}
  if (failures.includes(kind as ProbeFailureKind) && typeof layer === 'string' && (detail === null || typeof detail === 'string'))
    return { kind: kind as ProbeFailureKind, layer: layer.slice(0, 100), ...(detail !== null && { detail: detail.slice(0, 300) }) }
  row.problem('failure', given, `must have a layer and a kind of ${failures.join(', ')}`)
  return null
}

const reasons = [
  'server-down',
  'degraded',
  'cost-optimization',
  'manual',
  'rebalancing',
  'maintenance',
  'failback',
  'user-request',
] as const satisfies readonly MigrationReason[]

function parseGuard(input: GuardState) {
  return parse(input, 'name', (row) => {
    const { active, message, forbids, servers } = row.row
    const listed = (value: unknown, field: string, isOne: (item: unknown) => boolean, what: string): readonly unknown[] | null => {
      if (value === undefined || value === null) return null
      const items: unknown[] = Array.isArray(value) && value.length <= 100_000 ? [...value] : [null]
      if (!items.every(isOne)) row.problem(field, value, `must be a list of ${what}`)
      return items
    }
    if (typeof active !== 'boolean') row.problem('active', active, 'must be true or false')
    if (typeof message !== 'string') row.problem('message', message, 'must be a string')
    const isReason = (item: unknown): boolean => reasons.includes(item as MigrationReason)
    const from = listed(servers, 'servers', isId, 'ids of servers')
    return {
      // One line without credentials: it goes into events, logs and records.
      name: errorText(row.text('name') ?? 'guard'),
      forbids: listed(forbids, 'forbids', isReason, reasons.join(', ')) as readonly MigrationReason[] | null,
      servers: from?.map((id) => String(id) as ServerId) ?? null,
      active: active === true,
      message: errorText(message),
      remedy: row.row.remedy ? errorText(row.row.remedy) : null,
    }
  })
}

/**
 * The answer of a guard source, as a whole: half an answer could be the half that forbids.
 * @throws PintailError `invalid_row` with the first problem
 */
export function parseGuards(answer: unknown) {
  if (!Array.isArray(answer) || answer.length > 1000)
    throw new PintailError('invalid_row', 'its answer must be a list of at most 1 000 states')
  return answer.map((row: GuardState, index) => {
    const parsed = parseGuard(row)
    if (parsed.ok) return parsed.value
    throw new PintailError('invalid_row', `state ${index + 1} of its answer: ${problemText(parsed.problems)}`)
  })
}

/** An id of a server as callers may give it. */
export type ServerRef = string | number
/** @throws PintailError `invalid_argument` */
export function serverId(ref: ServerRef): ServerId {
  if (!isId(ref)) throw new PintailError('invalid_argument', `not the id of a server: ${shorten(ref)}`)
  return String(ref) as ServerId
}

/** @returns what a person asks for (`MigrationRequest`) as far as it can be read, and everything that is wrong with it in itself */
export function parseMigrationRequest(input: unknown) {
  // A copy, because it may be anything, also an object whose getters throw.
  const copied = parse(input, '', ({ row }) => ({ ...row }))
  const row = new Row(copied.ok ? copied.value : {})
  if (!copied.ok) row.problems.push(...copied.problems)
  const { connectionIds: given, autoApprove = false, fingerprint = null } = row.row
  const listed = Array.isArray(given) && given.length >= 1 && given.length <= 100_000 ? given : []
  if (given !== undefined && given !== null && listed.length === 0) row.problem('connectionIds', given, 'must be a list of 1 to 100000 ids')
  listed.forEach((id, index) => {
    if (!isId(id)) row.problem(`connectionIds.${index}`, id, 'is no id')
  })
  if (typeof autoApprove !== 'boolean') row.problem('autoApprove', autoApprove, 'must be true or false')
  if (fingerprint !== null && typeof fingerprint !== 'string') row.problem('fingerprint', fingerprint, 'must be a string')
  const triggeredBy = row.word('triggeredBy', ['admin', 'user'], 'admin')
  const reason = row.word('reason', reasons, triggeredBy === 'user' ? 'user-request' : 'manual')
  if (triggeredBy === 'user' && reason !== 'user-request') row.problem('reason', reason, "must be user-request for a user's own wish")
  if (triggeredBy === 'user' && listed.length === 0) row.problem('connectionIds', given, 'must name whose wish it is')
  const absent = row.row.toServerId === undefined || row.row.toServerId === null
  const asked = {
    serverId: row.id('serverId').id as ServerId,
    toServerId: absent ? null : (row.id('toServerId').id as ServerId),
    connectionIds: listed.length === 0 ? null : ([...new Set(listed.filter(isId).map(String))] as ConnectionId[]),
    reason,
    notes: row.text('notes', 2000),
    autoApprove: autoApprove === true,
    fingerprint: typeof fingerprint === 'string' ? fingerprint : null,
    triggeredBy,
  }
  return { asked, problems: row.problems }
}

/** When something may start: from a minute ago, for clocks that differ, to a year ahead. @throws PintailError `invalid_argument` */
export function parseStartTime(at: unknown = null, now: number): number {
  if (at === null) return now
  if (typeof at === 'number' && at >= now - 60_000 && at <= now + 365 * 86_400_000) return at
  const message = `at must be milliseconds since 1970, from a minute ago to a year ahead, not ${shorten(at)}`
  throw new PintailError('invalid_argument', message, { remedy: 'Leave it out to start now.' })
}

/** @throws PintailError `invalid_argument` */
export function parsePauseScope(target: unknown): PauseScope {
  if (target === 'all') return 'all'
  const [[kind, id] = [], ...more] = isObject(target) ? Object.entries(target) : []
  if (more.length === 0 && isId(id)) {
    if (kind === 'serverId') return { serverId: String(id) as ServerId }
    if (kind === 'evacuationId') return { evacuationId: String(id) as EvacuationId }
    if (kind === 'migrationId') return { migrationId: String(id) as MigrationId }
  }
  throw new PintailError('invalid_argument', `no scope of a pause: ${shorten(target)}`, {
    remedy: "Give 'all', or an object with exactly one of serverId, evacuationId and migrationId.",
  })
}

/** The problems of a row on one line. */
export function problemText(problems: readonly Problem[]): string {
  return problems.map(({ path, message }) => `${path} ${message}`.trim()).join('; ')
}
