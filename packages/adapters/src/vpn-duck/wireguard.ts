import {
  type CallContext,
  type Connection,
  type ConnectionMover,
  isPintailError,
  type Json,
  type Located,
  type Move,
  PintailError,
  type Server,
} from '@pintail/core'
import { HttpClient, type HttpClientOptions } from '../http/client.ts'
import { isRouteMissing, isStatus } from './api.ts'
import { Bounded } from './bounded.ts'
import type { DuckMover } from './mover.ts'
import type { WireGuardOptions } from './options.ts'
import { isRow, whole } from './rows.ts'

/** A peer that was made for a user on a server. */
interface Grant {
  readonly server: Server
  readonly publicKey: string
  readonly access: Json
}

/** The calls of wireguard-service (v1) and wireguard-proxy (v2). */
export class WireGuardApi {
  readonly #options: WireGuardOptions
  readonly #http: Omit<HttpClientOptions, 'baseUrl' | 'name'>
  readonly #clients = new Map<string, HttpClient>()

  constructor(options: WireGuardOptions, http: Omit<HttpClientOptions, 'baseUrl' | 'name'>) {
    this.#options = options
    this.#http = http
  }

  #client(server: Server): HttpClient {
    const { url } = this.#options
    const baseUrl = String(typeof url === 'function' ? url(server) : url)
    const client = this.#clients.get(baseUrl) ?? new HttpClient({ ...this.#http, name: 'WireGuard of VPN Duck', baseUrl })
    this.#clients.set(baseUrl, client)
    return client
  }

  async isRunning(server: Server, ctx: CallContext): Promise<boolean> {
    const { body } = await this.#client(server).call(
      { method: 'GET', path: '/status', effect: 'none', lane: 'status', ...this.#timeout },
      ctx,
    )
    // The proxy says how it is itself; v1 answers 200 also when WireGuard is not running.
    return isRow(body) && ['running', 'ok', 'online'].includes(String(body.status ?? body.proxy_status).toLowerCase())
  }

  /** A new peer. The proxy chooses the server itself, within the geolocation. */
  async create(server: Server, user: number, ctx: CallContext): Promise<Grant> {
    const geolocationId = whole(server.meta?.geolocationId)
    const json = { user_id: user, ...(geolocationId !== null && { geolocation_id: geolocationId }) }
    const { body } = await this.#client(server).call(
      { method: 'POST', path: '/create', json, effect: 'once', lane: 'create', ...this.#timeout },
      ctx,
    )
    const { public_key: publicKey, config, server_id: chosen = null } = isRow(body) ? body : {}
    if (typeof publicKey !== 'string' || publicKey === '' || typeof config !== 'string')
      throw new PintailError('internal', 'WireGuard of VPN Duck: the answer to /create has no public_key and config')
    const grant = { server, publicKey, access: { config, publicKey } }
    if (chosen === null || [server.id, server.meta?.slug].includes(String(chosen))) return grant
    await this.remove(server, publicKey, ctx).catch(() => {})
    throw new PintailError('unavailable', `wireguard-proxy has chosen server ${String(chosen).slice(0, 60)} instead of ${server.id}`, {
      remedy:
        'It goes by its own figures. Give each server the address of its own WireGuard service instead (wireguard.url as a function).',
    })
  }

  /** Resolves when the peer is not there. */
  async remove(server: Server, publicKey: string, ctx: CallContext): Promise<void> {
    const path = `/remove/${encodeURIComponent(publicKey)}`
    try {
      await this.#client(server).call(
        { method: 'DELETE', path, effect: 'repeatable', lane: 'remove', expect: 'nothing', ...this.#timeout },
        ctx,
      )
    } catch (error) {
      if (isRouteMissing(error))
        throw new PintailError(
          'rejected',
          `WireGuard of VPN Duck cannot be told to remove this key of server ${server.id}: its route takes no key with a /`,
          {
            cause: error,
            remedy: `Remove it on the server by hand: wg set wg0 peer ${publicKey} remove`,
          },
        )
      if (!isStatus(error, 404)) throw error
    }
  }

  get #timeout(): { timeoutMs: number } {
    return { timeoutMs: this.#options.timeoutMs ?? 10_000 }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()))
  }
}

/**
 * Moves VPN Duck's books and WireGuard itself: a new peer on the target first, then the books, and the old peer is
 * removed when the move is complete. Which key a user has on which server is told by VPN Duck for the first server
 * only; of later ones this process remembers what it has made.
 */
export class WireGuardMover implements ConnectionMover {
  readonly granularity = 'connection'
  readonly confirmation = 'applied'
  readonly fencing = 'none'
  readonly #books: DuckMover
  readonly #wireguard: WireGuardApi
  /** Peers that we have made, by user and server. */
  readonly #grants = new Bounded<string, Grant>(100_000)
  readonly #running = new Map<string, Promise<unknown>>()

  constructor(books: DuckMover, wireguard: WireGuardApi) {
    this.#books = books
    this.#wireguard = wireguard
  }

  async prepare(_: Server, to: Server, ctx: CallContext): Promise<void> {
    if (await this.#wireguard.isRunning(to, ctx)) return
    throw new PintailError('unavailable', `WireGuard is not running on server ${to.id}`, { remedy: 'Start it there.' })
  }

  /** A key that is under way already is waited for: two peers for one move would be one too many. */
  move(move: Move, ctx: CallContext): Promise<unknown> {
    const running = this.#running.get(move.key) ?? this.#move(move, ctx).finally(() => this.#running.delete(move.key))
    this.#running.set(move.key, running)
    return running
  }

  async #move(move: Move, ctx: CallContext): Promise<unknown> {
    const { user, isThere } = await this.#books.check(move, ctx)
    const known = this.#grants.get(grantKey(move.connection, move.to))
    if (isThere) return known?.access ?? null
    const grant = known ?? (await this.#wireguard.create(move.to, user, ctx))
    this.#grants.set(grantKey(move.connection, move.to), grant)
    try {
      await this.#books.move(move, ctx)
    } catch (error) {
      // Nothing was moved: the new peer would be left over. If it is not known what was, rollback looks after it.
      if (isPintailError(error, 'rejected')) await this.#takeBack(move.connection, move.to, ctx).catch(() => {})
      throw error
    }
    return grant.access
  }

  async complete(move: Move, ctx: CallContext): Promise<void> {
    // Whoever has come home since keeps his access there.
    if ((await this.#books.locate(move, ctx)) === 'on_source') return
    if (await this.#takeBack(move.connection, move.from, ctx)) return
    const { connection, from } = move
    throw new PintailError('rejected', `which key user ${connection.id} has on server ${from.id} is not known any more`, {
      remedy: 'Look for his old address in `wg show` on that server, and remove that peer by hand.',
    })
  }

  async rollback(move: Move, ctx: CallContext): Promise<void> {
    await this.#books.rollback(move, ctx)
    if ((await this.#books.locate(move, ctx)) !== 'on_target') await this.#takeBack(move.connection, move.to, ctx)
  }

  locate(move: Move, ctx: CallContext): Promise<Located> {
    return this.#books.locate(move, ctx)
  }

  /** Removes the user's peer there. False: nobody knows of one. */
  async #takeBack(connection: Connection, server: Server, ctx: CallContext): Promise<boolean> {
    const key = grantKey(connection, server)
    const { publicKey: listed, server: listedOn } = connection.meta ?? {}
    const publicKey = this.#grants.get(key)?.publicKey ?? (listedOn === server.id ? listed : null)
    if (typeof publicKey !== 'string') return false
    await this.#wireguard.remove(server, publicKey, ctx)
    this.#grants.delete(key)
    return true
  }
}

const grantKey = ({ id }: Connection, server: Server): string => `${id}/${server.id}`
