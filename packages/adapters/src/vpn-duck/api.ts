import { type CallContext, type Logger, PintailError } from '@pintail/core'
import type { HttpAnswer, HttpCall, HttpClient } from '../http/client.ts'
import { HttpFailure } from '../http/failure.ts'
import { untilAborted } from '../http/waiting.ts'
import type { Dialect, VpnDuckTimeouts } from './options.ts'
import { type DuckConfiguration, type DuckServer, type DuckSession, isRow, parseConfiguration, parseServer, parseSession } from './rows.ts'

export interface Spoken {
  readonly dialect: Dialect
  readonly prefix: string
}

/** Longest list that is read: 10 000 servers are about 6 MB, 100 000 connections about 25 MB. */
const listBytes = 64 << 20

export const isStatus = (error: unknown, status: number): boolean => error instanceof HttpFailure && error.facts.status === status
export const isRouteMissing = (error: unknown): boolean => error instanceof HttpFailure && error.facts.isRouteMissing === true

/** The calls of the database service in both dialects, with their answers parsed. Knows nothing of Pintail. */
export class DuckApi {
  readonly #http: HttpClient
  readonly #timeouts: VpnDuckTimeouts
  readonly #logger: Logger | undefined
  readonly #wanted: { readonly dialect: Dialect | null; readonly prefix: string | null }
  #spoken: Spoken | null = null
  #detecting: Promise<Spoken> | null = null
  #told: string | null = null

  constructor(
    http: HttpClient,
    wanted: { dialect: Dialect | null; prefix: string | null },
    timeouts: VpnDuckTimeouts,
    logger: Logger | undefined,
  ) {
    this.#http = http
    this.#wanted = wanted
    this.#timeouts = timeouts
    this.#logger = logger
  }

  /** How the service speaks; found out once, by all who ask at the same time together. */
  async spoken({ signal }: CallContext): Promise<Spoken> {
    if (this.#spoken) return this.#spoken
    const { dialect, prefix } = this.#wanted
    if (dialect) return this.#speak({ dialect, prefix: prefix ?? (dialect === 'v2' ? '/api' : '') })
    // Not with the signal of one caller: the others wait for it too.
    this.#detecting ??= this.#detect({ signal: new AbortController().signal }).finally(() => {
      this.#detecting = null
    })
    return untilAborted(this.#detecting, signal)
  }

  #speak(spoken: Spoken): Spoken {
    this.#spoken = spoken
    const { dialect, prefix } = spoken
    const text = `VPN Duck's database service speaks ${dialect}${prefix ? ` under ${prefix}` : ''}`
    if (this.#told !== text && !this.#wanted.dialect) this.#logger?.info({ dialect, prefix }, text)
    this.#told = text
    return spoken
  }

  async #detect(ctx: CallContext): Promise<Spoken> {
    const prefixes = this.#wanted.prefix === null ? ['/api', ''] : [this.#wanted.prefix]
    for (const prefix of prefixes)
      try {
        const rows = listOf((await this.#get(`${prefix}/servers/all`, ctx, listBytes)).body, 'servers')
        // v2's rows have is_active and a second id that is a text; without any row the prefix tells.
        const first = rows.find(isRow)
        const isV2 = first ? 'is_active' in first || typeof first.server_id === 'string' : prefix === '/api'
        return this.#speak({ dialect: isV2 ? 'v2' : 'v1', prefix })
      } catch (error) {
        if (!isRouteMissing(error) && !isStatus(error, 404)) throw error
      }
    throw new PintailError('unavailable', `VPN Duck: none of ${prefixes.map((prefix) => `${prefix}/servers/all`).join(', ')} is there`, {
      remedy: 'Check databaseServiceUrl: it must be the database service, e.g. http://database-service:5002.',
    })
  }

  #get(path: string, ctx: CallContext, maxBytes = 1 << 20): Promise<HttpAnswer> {
    return this.#http.call(
      { method: 'GET', path, effect: 'none', lane: 'detect', timeoutMs: this.#timeouts.readMs ?? 10_000, maxBytes },
      ctx,
    )
  }

  /** A call in the dialect of the moment; once more in the other one if the service has become that in the meantime. */
  async #call(call: (spoken: Spoken) => HttpCall, ctx: CallContext): Promise<HttpAnswer> {
    const spoken = await this.spoken(ctx)
    try {
      return await this.#http.call(call(spoken), ctx)
    } catch (error) {
      // A path that is not there has had no effect.
      if (!isRouteMissing(error) || this.#wanted.dialect) throw error
      if (this.#spoken === spoken) this.#spoken = null
      const now = await this.spoken(ctx)
      if (now.dialect === spoken.dialect && now.prefix === spoken.prefix) throw error
      return this.#http.call(call(now), ctx)
    }
  }

  async servers(ctx: CallContext): Promise<{ servers: DuckServer[]; unreadable: number }> {
    const { body } = await this.#call(({ prefix }) => this.#reading(`${prefix}/servers/all`, 'servers'), ctx)
    const rows = listOf(body, 'servers')
    const servers = rows.map(parseServer).filter((server) => server !== null)
    return { servers, unreadable: rows.length - servers.length }
  }

  /** Null: there is none. `id` must be whole: v2 makes a server of every text that begins with `srv-`. */
  async server(id: number, ctx: CallContext): Promise<DuckServer | null> {
    try {
      const { body } = await this.#call(({ prefix }) => this.#reading(`${prefix}/servers/${id}`, 'server'), ctx)
      // Flat in v1, wrapped in v2.
      return parseServer(isRow(body) && isRow(body.server) ? body.server : body)
    } catch (error) {
      if (isStatus(error, 404) && !isRouteMissing(error)) return null
      throw error
    }
  }

  async sessions(server: string, ctx: CallContext): Promise<{ sessions: DuckSession[]; unreadable: number }> {
    const { body } = await this.#call(
      ({ prefix }) => this.#reading(`${prefix}/servers/${encodeURIComponent(server)}/connections`, 'connections'),
      ctx,
    )
    const rows = listOf(body, 'connections')
    const sessions = rows.map((row) => parseSession(row, server)).filter((session) => session !== null)
    return { sessions, unreadable: rows.length - sessions.length }
  }

  /** Null: the user has no active configuration. Not in every version of the service; then the route is missing. */
  async configuration(user: number, ctx: CallContext): Promise<DuckConfiguration | null> {
    try {
      const { body } = await this.#call(({ prefix }) => this.#reading(`${prefix}/config/${user}`, 'configuration'), ctx)
      return parseConfiguration(body)
    } catch (error) {
      if (isStatus(error, 404) && !isRouteMissing(error)) return null
      throw error
    }
  }

  #reading(path: string, lane: string): HttpCall {
    return { method: 'GET', path, effect: 'none', lane, timeoutMs: this.#timeouts.readMs ?? 10_000, maxBytes: listBytes }
  }

  async setStatus(server: number, status: string, ctx: CallContext): Promise<void> {
    const timeoutMs = this.#timeouts.statusMs ?? 10_000
    await this.#call(
      ({ prefix }) => ({
        method: 'POST',
        path: `${prefix}/servers/${server}/status`,
        json: { status },
        effect: 'repeatable',
        lane: 'status',
        timeoutMs,
      }),
      ctx,
    )
  }

  async setStatuses(servers: readonly { readonly id: number; readonly status: string }[], ctx: CallContext): Promise<void> {
    const timeoutMs = this.#timeouts.batchMs ?? 15_000
    await this.#call(
      ({ prefix }) => ({
        method: 'POST',
        path: `${prefix}/servers/update_status_batch`,
        json: { servers },
        effect: 'repeatable',
        lane: 'status',
        timeoutMs,
      }),
      ctx,
    )
  }

  /** @returns v1: the new configuration's row; v2: null, its success says nothing */
  async changeGeolocation(
    move: { readonly user: number; readonly geolocationId: number; readonly server: number; readonly reason: string },
    ctx: CallContext,
  ): Promise<Readonly<Record<string, unknown>> | null> {
    const json = { user_id: move.user, geolocation_id: move.geolocationId, server_id: move.server, migration_reason: move.reason }
    const timeoutMs = this.#timeouts.moveMs ?? 20_000
    const { body } = await this.#call(
      ({ prefix }) => ({ method: 'POST', path: `${prefix}/configs/change_geolocation`, json, effect: 'once', lane: 'move', timeoutMs }),
      ctx,
    )
    return isRow(body) && isRow(body.config) ? body.config : null
  }

  async logMigration(json: object, ctx: CallContext): Promise<void> {
    const timeoutMs = this.#timeouts.logMs ?? 10_000
    await this.#call(
      ({ prefix }) => ({
        method: 'POST',
        path: `${prefix}/server_migrations/log`,
        json,
        effect: 'once',
        lane: 'log',
        timeoutMs,
        expect: 'nothing',
      }),
      ctx,
    )
  }

  async addMetrics(json: object, ctx: CallContext): Promise<void> {
    const timeoutMs = this.#timeouts.metricsMs ?? 10_000
    await this.#call(
      ({ prefix }) => ({
        method: 'POST',
        path: `${prefix}/servers/metrics/add`,
        json,
        effect: 'once',
        lane: 'metrics',
        timeoutMs,
        expect: 'nothing',
      }),
      ctx,
    )
  }
}

function listOf(body: unknown, field: string): readonly unknown[] {
  const list = isRow(body) ? body[field] : undefined
  if (Array.isArray(list)) return list
  throw new PintailError('unavailable', `VPN Duck: the answer has no list of ${field}`, {
    remedy: "Check databaseServiceUrl: it must be VPN Duck's database service.",
  })
}
