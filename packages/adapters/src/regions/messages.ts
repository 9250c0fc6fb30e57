import { randomUUID } from 'node:crypto'
import type { Json, JsonObject } from '@pintail/core'
import { errorText, PintailError, type Problem } from '@pintail/core'
import { z } from 'zod'

/** The version of every message here. A worker refuses a higher one, and changes nothing by it. */
export const messageVersion = 1

/** Bounds of what is sent, in bytes and numbers. What exceeds one is refused before anything is done. */
export const limits = {
  /** One encoded command, dead letter or event. A page of `access.sync` stays under it. */
  messageBytes: 256 * 1024,
  /** The payload of a grant, a revoke or a result, as JSON. */
  payloadBytes: 64 * 1024,
  /** An id of a server, a region or a connection, characters. */
  idLength: 200,
  /** Pages of one sync. */
  syncPages: 4096,
  /** Entries of one sync over all its pages. */
  syncEntries: 200_000,
} as const

export type CommandType = 'access.grant' | 'access.revoke' | 'access.sync' | 'access.check'

/** The order of everything that is asked for one connection: newer is who is higher in (`token`, `epoch`). `Move.fencingToken` and `Move.epoch`. */
export interface Pair {
  readonly token: number
  readonly epoch: number
}

/** What the engine's side asks of the worker of a region. */
export interface Command extends Pair {
  readonly v: 1
  /** A UUID, new for each publication. */
  readonly id: string
  /** `grant:<connectionId>:<serverId>:<token>.<epoch>`: one effect however often it is asked. See `idempotencyKeyOf`. */
  readonly idempotencyKey: string
  readonly type: CommandType
  readonly region: string
  readonly serverId: string
  /** `*` for `access.sync`. */
  readonly connectionId: string
  /** ISO 8601 with a zone, by the sender's clock. */
  readonly issuedAt: string
  /** After this it must not be begun; null: never too late (revokes of a dead server). By the sender's clock. */
  readonly deadline: string | null
  /** The sender's own reply subject; null: nobody waits. */
  readonly replyTo: string | null
  /** W3C `traceparent`, where the host traces. */
  readonly traceId: string | null
  readonly payload: Json
}

export interface SyncEntry extends Pair {
  readonly connectionId: string
  readonly payload: Json
}

/**
 * The payload of `access.sync`: one page of everybody who belongs on the server. The command's (`token`, `epoch`) is the
 * mark up to which the list knows: read it before the list. Whatever the worker has seen beyond the mark stays as it is.
 */
export interface SyncPage {
  /** The same on every page. */
  readonly syncId: string
  /** 0 to `pages` − 1. */
  readonly page: number
  /** 1–4096; the same on every page. */
  readonly pages: number
  readonly entries: readonly SyncEntry[]
  /** Connections with a call under way: the sync leaves them as they are. */
  readonly leave: readonly string[]
}

export type ResultStatus = 'ok' | 'noop' | 'rejected' | 'failed'

/** What a worker answers on `replyTo`. `payload` is what the handler returned. */
export interface Result extends Pair {
  readonly v: 1
  readonly commandId: string
  readonly idempotencyKey: string
  /** `noop`: it was so already. `rejected`: refused for good. `failed`: it did not work, see `retryable`. */
  readonly status: ResultStatus
  /** The broker delivers it again; another answer may follow. */
  readonly retryable: boolean
  /** `STALE`, `FENCED`, `EXPIRED`, `REJECTED`, `UNAVAILABLE`, `FAILED` …; null: all is well. */
  readonly code: string | null
  /** For people, at most 300 characters, without secrets. */
  readonly message: string | null
  readonly serverId: string
  /** ISO 8601, by the worker's clock. */
  readonly finishedAt: string
  readonly durationMs: number
  readonly payload: Json
}

/** A command that cannot be done, kept for people with its reason. */
export interface DeadLetter {
  readonly v: 1
  /** `MALFORMED`, `UNKNOWN_VERSION`, `OVERSIZED`, `FORGED`, `TOO_MANY_TRIES` … */
  readonly reason: string
  readonly message: string
  readonly region: string
  /** Where it was found. */
  readonly subject: string
  readonly commandId: string | null
  readonly deliveries: number
  /** ISO 8601, by the worker's clock. */
  readonly at: string
  /** What was sent, base64, at most the first 64 KiB of it. It may hold what the payload held: whoever reads dead letters reads that. */
  readonly body: string
}

export type WorkerEventType =
  | 'worker.started'
  | 'worker.stopped'
  | 'sync.drift'
  | 'sync.held'
  | 'sync.given_up'
  | 'effect.late'
  | 'consumer.made_again'
  | 'stream.made_again'
  | 'dead_letter'

/** What a worker tells without being asked. `data` holds counts, and ids of connections where a person will need them, at most 20. */
export interface WorkerEvent {
  readonly v: 1
  readonly id: string
  readonly type: WorkerEventType
  readonly region: string
  /** Null: the whole region. */
  readonly serverId: string | null
  /** ISO 8601, by the worker's clock. */
  readonly at: string
  readonly data: JsonObject
}

// ------------------------------------------------------------------------------------------------------------- schemas

// The same bounds as core's own for ids: one that it would refuse never gets here.
const id = z
  .string()
  .min(1)
  .max(limits.idLength)
  .refine((value) => !/\p{Cc}/u.test(value) && value.isWellFormed(), 'must have no control characters')
const whole = z.int().min(0)
const instant = z.iso.datetime({ offset: true })
// Bounded in bytes before it is read; what JSON.parse made is JSON.
const json = z.custom<Json>((value) => value !== undefined, 'must be there')
const subject = z.string().min(1).max(1024)
const shortText = z.string().max(300)
const pair = { token: whole, epoch: whole }

const commandSchema = z.object({
  v: z.literal(1),
  id: z.uuid(),
  idempotencyKey: z.string().min(1).max(1000),
  type: z.enum(['access.grant', 'access.revoke', 'access.sync', 'access.check']),
  region: id,
  serverId: id,
  connectionId: id,
  ...pair,
  issuedAt: instant,
  deadline: instant.nullable(),
  replyTo: subject.nullable(),
  traceId: z.string().max(200).nullable(),
  payload: json,
})

const syncPageSchema = z.object({
  syncId: z.string().min(1).max(100),
  page: whole,
  pages: z.int().min(1).max(limits.syncPages),
  entries: z.array(z.object({ connectionId: id, ...pair, payload: json })),
  leave: z.array(id),
})

const resultSchema = z.object({
  v: z.literal(1),
  commandId: z.uuid(),
  idempotencyKey: z.string().max(1000),
  status: z.enum(['ok', 'noop', 'rejected', 'failed']),
  retryable: z.boolean(),
  code: z.string().max(100).nullable(),
  message: shortText.nullable(),
  serverId: id,
  ...pair,
  finishedAt: instant,
  durationMs: z.number().min(0),
  payload: json,
})

const deadLetterSchema = z.object({
  v: z.literal(1),
  reason: z.string().max(100),
  message: shortText,
  region: id,
  subject: z.string().max(4096),
  commandId: z.string().max(100).nullable(),
  deliveries: whole,
  at: instant,
  body: z.string(),
})

const eventSchema = z.object({
  v: z.literal(1),
  id: z.uuid(),
  // A newer worker may tell what this version does not know: whoever listens leaves that alone.
  type: z.string().max(100),
  region: id,
  serverId: id.nullable(),
  at: instant,
  data: z.record(z.string(), json),
})

// ------------------------------------------------------------------------------------------------------- reading, writing

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** @throws PintailError `invalid_row`, with a problem for each field; `unsupported`: a version that is not known */
export function parseCommand(bytes: Uint8Array): Command {
  const command: Command = parse(commandSchema, bytes, 'command')
  const isSync = command.type === 'access.sync'
  if (isSync !== (command.connectionId === '*'))
    throw refused('command', [{ path: 'connectionId', message: '`*` is for access.sync, and for it alone' }])
  // A message that is smaller than a payload may be has none that is larger.
  if (!isSync && bytes.byteLength > limits.payloadBytes) bounded(command.payload, 'payload')
  if (command.idempotencyKey !== idempotencyKeyOf(command))
    throw refused('command', [{ path: 'idempotencyKey', message: 'is not that of what it asks for' }])
  return command
}

/** The payload of an `access.sync`. @throws PintailError `invalid_row` */
export function parseSyncPage(payload: Json): SyncPage {
  const page: SyncPage = checked(syncPageSchema, payload, 'page of a sync')
  if (page.page >= page.pages) throw refused('page of a sync', [{ path: 'page', message: `must be below ${page.pages}` }])
  for (const [index, entry] of page.entries.entries()) bounded(entry.payload, `entries.${index}.payload`)
  return page
}

/** @throws PintailError as `parseCommand` does */
export const parseResult = (bytes: Uint8Array): Result => parse(resultSchema, bytes, 'result')
/** @throws PintailError as `parseCommand` does */
export const parseDeadLetter = (bytes: Uint8Array): DeadLetter => parse(deadLetterSchema, bytes, 'dead letter')
/** @throws PintailError as `parseCommand` does */
export const parseEvent = (bytes: Uint8Array): WorkerEvent => parse(eventSchema, bytes, 'event') as WorkerEvent

/** @throws PintailError `invalid_argument`: it is larger than `limits.messageBytes`, or its payload than `limits.payloadBytes` */
export function encodeCommand(command: Command): Uint8Array {
  if (command.type !== 'access.sync' && size(command.payload) > limits.payloadBytes) throw tooLarge('the payload', limits.payloadBytes)
  return encode(command)
}

/** @throws PintailError `invalid_argument`: it is larger than `limits.messageBytes` */
export function encode(message: Result | DeadLetter | WorkerEvent | Command): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(message))
  if (bytes.byteLength > limits.messageBytes) throw tooLarge('the message', limits.messageBytes)
  return bytes
}

/** How large a value is as JSON, bytes of UTF-8. */
export const size = (value: Json): number => Buffer.byteLength(JSON.stringify(value))

type Keyed = Pick<Command, 'type' | 'connectionId' | 'serverId' | 'token' | 'epoch' | 'payload'>

/** `grant:<connectionId>:<serverId>:<token>.<epoch>`; for a page of a sync `sync:<syncId>/<page>:<serverId>:<token>.<epoch>`. */
export function idempotencyKeyOf({ type, connectionId, serverId, token, epoch, payload }: Keyed): string {
  const { syncId, page } = ((type === 'access.sync' ? payload : null) ?? {}) as Partial<SyncPage>
  const what = type === 'access.sync' ? `${syncId}/${page}` : connectionId
  return `${type.slice('access.'.length)}:${what}:${serverId}:${token}.${epoch}`
}

/** A command with its id, version and key filled in. `issuedAt` and `deadline`: milliseconds since 1970. */
export function newCommand(
  what: Omit<Command, 'v' | 'id' | 'idempotencyKey' | 'issuedAt' | 'deadline'> & {
    readonly issuedAt: number
    readonly deadline: number | null
    /** Default: a random UUID. */
    readonly id?: string
  },
): Command {
  return {
    v: 1,
    id: what.id ?? randomUUID(),
    idempotencyKey: idempotencyKeyOf(what),
    type: what.type,
    region: what.region,
    serverId: what.serverId,
    connectionId: what.connectionId,
    token: what.token,
    epoch: what.epoch,
    issuedAt: new Date(what.issuedAt).toISOString(),
    deadline: what.deadline === null ? null : new Date(what.deadline).toISOString(),
    replyTo: what.replyTo,
    traceId: what.traceId,
    payload: what.payload,
  }
}

/** Below 0: `a` is older than `b`; above: newer. */
export const comparePairs = (a: Pair, b: Pair): number => a.token - b.token || a.epoch - b.epoch

function parse<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  if (bytes.byteLength > limits.messageBytes) throw refused(what, [{ path: '', message: `has more than ${limits.messageBytes} bytes` }])
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(bytes))
  } catch {
    // The parser's own words quote what it read, which may be a secret.
    throw refused(what, [{ path: '', message: 'is not JSON in UTF-8' }])
  }
  const version = (value as { readonly v?: unknown } | null)?.v
  if (Number.isSafeInteger(version) && version !== messageVersion)
    throw new PintailError('unsupported', `a ${what} of version ${version}: this Pintail knows ${messageVersion}`, {
      remedy: 'Bring both sides to one version: workers first.',
    })
  return checked(schema, value, what)
}

function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const { success, data, error } = schema.safeParse(value)
  if (success) return data
  throw refused(
    what,
    error.issues.slice(0, 20).map(({ path, message }) => ({ path: path.join('.').slice(0, 100), message: errorText(message) })),
  )
}

function bounded(payload: Json, path: string): void {
  if (size(payload) > limits.payloadBytes) throw refused('command', [{ path, message: `has more than ${limits.payloadBytes} bytes` }])
}

/** Names fields and rules, never values: those may be keys. */
function refused(what: string, problems: readonly Problem[]): PintailError {
  const which = problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ')
  return new PintailError('invalid_row', `this ${what} is not understood: ${errorText(which)}`, { problems })
}

const tooLarge = (what: string, bytes: number): PintailError =>
  new PintailError('invalid_argument', `${what} has more than ${bytes} bytes`, { remedy: 'Send less of it, or a reference to it.' })
