import {
  type CallContext,
  type Connection,
  errorText,
  isPintailError,
  type Json,
  type Located,
  type Logger,
  type Move,
  PintailError,
  type Server,
  systemClock,
} from '@pintail/core'
import type { AccessBook, AccessView, HomeOutcome, Want } from '../access/book.ts'
import { type Asking, asking, errorOf } from './asking.ts'
import { forGrant, forRevoke, fromWire } from './epochs.ts'
import { type FullSyncs, fullSyncs } from './fullSync.ts'
import { comparePairs, type Pair, type Result } from './messages.ts'
import { type MoverFigures, moverTally } from './moverFigures.ts'
import type { RegionMover, RegionMoverOptions } from './moverOptions.ts'
import { Sending } from './sending.ts'
import type { CommandTransport } from './transport.ts'

/** @throws PintailError `invalid_options` */
export function regionMover(transport: CommandTransport, options: RegionMoverOptions): RegionMover {
  const { verify, ...rest } = new Mover(transport, options).asMover()
  return options.checks ? { ...rest, verify } : rest
}

const silence: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Spent pairs that are remembered. */
const mostSpent = 100_000

class Mover {
  readonly #options: RegionMoverOptions
  readonly #access: AccessBook
  readonly #logger: Logger
  readonly #timeoutMs: number
  readonly #asking: Asking
  readonly #sending: Sending
  readonly #syncs: FullSyncs
  readonly #tally = moverTally()
  readonly #closing = new AbortController()
  /** The highest token that the books know of by us. */
  #fenced = -1
  /** The newest epoch that was seen, of the newest token. */
  #newest: Pair = { token: 0, epoch: 0 }
  /** Calls under way, by connection. */
  readonly #open = new Map<string, number>()
  /** Keys of revokes that a worker has answered in vain: asking for the same again would be answered the same. */
  readonly #spent = new Set<string>()

  constructor(transport: CommandTransport, options: RegionMoverOptions) {
    const { access, timeoutMs = 20_000, syncEveryMs = 300_000, clock = systemClock, random = Math.random, logger = silence } = options
    whole('timeoutMs', timeoutMs, 100, 3_600_000)
    if (syncEveryMs !== null) whole('syncEveryMs', syncEveryMs, 1000, 86_400_000)
    if (typeof access?.look !== 'function' || typeof access.want !== 'function')
      throw new PintailError('invalid_options', 'access: must be books of access, as memoryAccess() or postgresAccess() make them')
    this.#options = options
    this.#access = access
    this.#logger = logger
    this.#timeoutMs = timeoutMs
    this.#asking = asking(transport, clock, (result) => this.#unasked(result))
    const regionOf = options.regionOf ?? (({ region }) => region)
    const { asking: own, tally } = { asking: this.#asking, tally: this.#tally }
    this.#sending = new Sending({
      transport,
      asking: own,
      clock,
      timeoutMs,
      tally,
      regionOf,
      heard: (serverId) => this.#syncs.heard(serverId),
    })
    this.#syncs = fullSyncs({
      transport,
      access,
      asking: this.#asking,
      clock,
      random,
      logger,
      timeoutMs,
      everyMs: options.leads ? syncEveryMs : null,
      leads: options.leads ?? (() => null),
      regionOf,
      begin: (token) => this.#beginSync(token),
      underWay: () => this.#open.keys(),
      heard: (serverId) => this.#sending.heard(serverId),
      tally: this.#tally,
      onDrift: (report) => options.onDrift?.(report),
    })
  }

  asMover() {
    const during =
      <T>(name: string, work: (move: Move, ctx: CallContext) => Promise<T>) =>
      (move: Move, ctx: CallContext): Promise<T> =>
        this.#counted(name, move, () => work.call(this, move, ctx))
    return {
      confirmation: 'applied',
      fencing: 'enforced',
      move: during('move', this.#move),
      complete: during('complete', this.#complete),
      rollback: during('rollback', this.#rollback),
      locate: (move: Move, ctx: CallContext) => this.#locate(move, ctx),
      verify: (move: Move, ctx: CallContext) => this.#verify(move, ctx),
      sync: (serverId?: string | number, ctx: Partial<CallContext> = {}) =>
        this.#syncs.now(serverId === undefined ? null : String(serverId), { signal: this.#closing.signal, ...ctx }),
      figures: (): MoverFigures => ({ ...this.#tally, waiting: this.#asking.waiting, silentServers: this.#sending.silentServers }),
      close: async () => {
        this.#closing.abort()
        this.#syncs.close()
        this.#asking.close()
      },
    } as const
  }

  /** From its begin to its end a call is nothing that a sync may look into. */
  async #counted<T>(name: string, move: Move, work: () => Promise<T>): Promise<T> {
    const { id } = move.connection
    this.#seen({ token: move.fencingToken, epoch: move.epoch })
    this.#open.set(id, (this.#open.get(id) ?? 0) + 1)
    this.#syncs.begun(id)
    try {
      return await work()
    } catch (error) {
      if (isPintailError(error, 'fenced')) this.#tally.fenced++
      else if (isPintailError(error, 'unavailable')) this.#tally.unavailable++
      else if (isPintailError(error, 'timeout')) this.#tally.timeouts++
      this.#logger.debug({ connectionId: id, error: errorText(error) }, `${name} was not done`)
      throw error
    } finally {
      const left = (this.#open.get(id) ?? 1) - 1
      if (left > 0) this.#open.set(id, left)
      else this.#open.delete(id)
    }
  }

  #seen(pair: Pair): void {
    if (comparePairs(pair, this.#newest) > 0) this.#newest = pair
  }

  // ------------------------------------------------------------------------------------------------------------- calls

  async #move(move: Move, ctx: CallContext): Promise<Json> {
    const { connection, from, to } = move
    await this.#fence(move.fencingToken, ctx)
    const view = await this.#look(connection.id, ctx)
    if (!view) throw new PintailError('rejected', `there is no connection ${connection.id}`)
    // The host has moved it in the meantime, perhaps back from where this key had brought it: its word stands.
    const isMoved = view.serverId !== to.id && (view.serverId !== from.id || view.keys.includes(move.key))
    if (isMoved) throw new PintailError('rejected', `it is on ${view.serverId} now`)
    const payload = await this.#payload(connection, to, view, ctx)
    await this.#want({ connectionId: connection.id, serverId: to.id, wanted: 'granted', payload, ...pairOf(move) }, ctx)
    const result = await this.#grant(to, connection.id, move, payload, ctx)
    const grant = pairOf(move)
    const home = await this.#setHome(move, from.id, to.id, grant, ctx)
    if (home === 'set') return result.payload
    // It was given for nothing: whoever was faster does not know of it.
    await this.#takeBack(to, connection.id, grant, ctx)
    throw home === 'fenced'
      ? new PintailError('fenced', `a newer call for ${connection.id} was faster`)
      : new PintailError('rejected', `${connection.id} was moved elsewhere meanwhile`)
  }

  async #complete(move: Move, ctx: CallContext): Promise<void> {
    const { connection, from } = move
    await this.#fence(move.fencingToken, ctx)
    const view = await this.#look(connection.id, ctx)
    // Moved back since, by us or by the host: what is there is his home, and a revoke that waits for its worker must not take it.
    if (view?.serverId === from.id) return this.#confirmHome(from, move, view, ctx)
    await this.#takeOff(from, move, view, ctx)
  }

  async #rollback(move: Move, ctx: CallContext): Promise<void> {
    const { connection, from, to } = move
    await this.#fence(move.fencingToken, ctx)
    const view = await this.#look(connection.id, ctx)
    if (view?.serverId === to.id) {
      // Grants before revokes: he has his access at home again before he loses this one.
      const row = view.rows.find(({ serverId, wanted, isTentative }) => serverId === from.id && wanted === 'granted' && !isTentative)
      if (!row) await this.#confirmHome(from, move, view, ctx)
      const home = await this.#setHome(move, to.id, from.id, row ?? pairOf(move), ctx)
      if (home === 'fenced') throw new PintailError('fenced', `a newer call for ${connection.id} was faster`)
    }
    await this.#takeOff(to, move, view, ctx)
  }

  /** Sees to it that his access at home is newer than anything that could still take it. */
  async #confirmHome(home: Server, move: Move, view: AccessView, ctx: CallContext): Promise<void> {
    const { id } = move.connection
    const payload = await this.#payload(move.connection, home, view, ctx)
    await this.#want({ connectionId: id, serverId: home.id, wanted: 'granted', payload, ...pairOf(move) }, ctx)
    await this.#grant(home, id, move, payload, ctx)
  }

  /** Resolves when the worker has said that it is gone there. */
  async #takeOff(server: Server, move: Move, view: AccessView | null, ctx: CallContext): Promise<void> {
    const { id } = move.connection
    const row = view?.rows.find(({ serverId }) => serverId === server.id)
    // What waits for its worker already is not asked for anew: hours of asking must not fill the stream.
    const waits = row?.wanted === 'revoked' && row.token === move.fencingToken && !this.#spent.has(keyOf(server.id, id, row))
    const pair = waits ? pairOf(row) : pairOf(move)
    if (!waits) {
      const outcome = await this.#access.want({ connectionId: id, serverId: server.id, wanted: 'revoked', ...pair }, ctx)
      if (outcome === 'no_server') return
      if (outcome === 'home') throw new PintailError('fenced', `${id} has come home to ${server.id} meanwhile`)
      if (outcome === 'fenced') throw fenced(id)
    }
    const result = await this.#sending.ask({ type: 'access.revoke', server, connectionId: id, ...forRevoke(pair) }, ctx)
    const error = errorOf(result)
    if (error && !result.retryable) this.#spend(server.id, id, pair)
    // Something newer is known there: that stands in the way of this pair for good, and not of ours.
    if (error && waits && comparePairs(pair, pairOf(move)) < 0 && !result.retryable) return this.#takeOff(server, move, view, ctx)
    if (error) throw error
    await this.#access.forget(server.id, [{ connectionId: id, ...pair }], ctx)
  }

  /** Nobody waits for it: a sync does it if this does not. */
  async #takeBack(server: Server, connectionId: string, pair: Pair, ctx: CallContext): Promise<void> {
    try {
      const outcome = await this.#access.want({ connectionId, serverId: server.id, wanted: 'revoked', ...pair }, ctx)
      if (outcome !== 'kept') return
      await this.#sending.tell({ type: 'access.revoke', server, connectionId, ...forRevoke(pair) }, ctx)
    } catch (error) {
      this.#logger.debug({ connectionId, error: errorText(error) }, 'what was granted for nothing is left to the next sync')
    }
  }

  async #locate({ connection, from, to }: Move, ctx: CallContext): Promise<Located> {
    const view = await this.#look(connection.id, ctx)
    if (!view) return 'absent'
    const rowOn = (id: string) => view.rows.find(({ serverId }) => serverId === id)
    if (view.serverId === to.id) return rowOn(from.id) ? 'on_both' : 'on_target'
    const owed = rowOn(to.id)
    // To say that he is not there would be a guess while a revoke waits for its worker: that is asked, or nothing is said.
    if (owed?.wanted === 'revoked') {
      const result = await this.#sending.ask({ type: 'access.revoke', server: to, connectionId: connection.id, ...forRevoke(owed) }, ctx)
      const error = errorOf(result)
      if (error && !isPintailError(error, 'fenced')) throw error
      if (!error) await this.#access.forget(to.id, [owed], ctx)
    }
    return view.serverId === from.id ? 'on_source' : 'absent'
  }

  async #verify({ connection, to, fencingToken }: Move, ctx: CallContext): Promise<boolean> {
    const view = await this.#look(connection.id, ctx)
    if (view?.serverId !== to.id) return false
    const mark = this.#newest.token === fencingToken ? this.#newest : { token: fencingToken, epoch: 0 }
    const payload = view.rows.find(({ serverId }) => serverId === to.id)?.payload ?? null
    const errand = { type: 'access.check', server: to, connectionId: connection.id, ...forRevoke(mark), payload, expires: true } as const
    const result = await this.#sending.ask(errand, ctx)
    const error = errorOf(result)
    if (error) throw error
    return (result.payload as { readonly usable?: unknown } | null)?.usable === true
  }

  // ------------------------------------------------------------------------------------------------------------- steps

  /** Once for each token: whoever led before changes nothing in the books any more. */
  async #fence(token: number, ctx: CallContext): Promise<void> {
    if (token === this.#fenced) return
    const fits = token > this.#fenced && (await this.#access.fence(token, ctx))
    if (!fits) throw new PintailError('fenced', `token ${token} is older than one that the books have seen`)
    this.#fenced = Math.max(this.#fenced, token)
  }

  async #beginSync(token: number): Promise<Pair> {
    await this.#fence(token, { signal: this.#closing.signal })
    this.#seen({ token, epoch: 0 })
    return forRevoke(this.#newest)
  }

  /** Reading changes nothing: whatever goes wrong with it leaves no doubt. */
  async #look(connectionId: string, ctx: CallContext): Promise<AccessView | null> {
    try {
      return await this.#access.look(connectionId, ctx)
    } catch (error) {
      if (isPintailError(error) || ctx.signal.aborted) throw error
      throw new PintailError('unavailable', `the books cannot be read: ${errorText(error)}`, { cause: error })
    }
  }

  async #payload(connection: Connection, server: Server, view: AccessView, ctx: CallContext): Promise<Json> {
    const { accessFor } = this.#options
    if (accessFor)
      try {
        return await accessFor(connection, server, ctx)
      } catch (error) {
        if (isPintailError(error, 'rejected') || ctx.signal.aborted) throw error
        throw new PintailError('unavailable', `accessFor has thrown: ${errorText(error)}`, { cause: error })
      }
    const rowOn = (id: string) => view.rows.find(({ serverId }) => serverId === id)
    return rowOn(server.id)?.payload ?? rowOn(view.serverId)?.payload ?? null
  }

  async #want(want: Want, ctx: CallContext): Promise<void> {
    const outcome = await this.#access.want(want, ctx)
    if (outcome === 'kept') return
    if (outcome === 'fenced') throw fenced(want.connectionId)
    const what = outcome === 'no_server' ? `server ${want.serverId}` : `connection ${want.connectionId}`
    throw new PintailError('rejected', `the books have no ${what}`)
  }

  /** There and back: what an undoing leaves is wanted gone in the same moment, or nobody would know of it if it came to no more. */
  async #setHome(move: Move, from: string, to: string, grant: Pair, ctx: CallContext): Promise<HomeOutcome> {
    const isUndone = from === move.to.id
    const end = isUndone ? ({ leaves: 'revoked', key: null } as const) : ({ leaves: 'granted', key: move.key } as const)
    return this.#access.setHome({ connectionId: move.connection.id, from, to, ...pairOf(move), grant: pairOf(grant), ...end }, ctx)
  }

  /** Resolves when it is in force there. */
  async #grant(server: Server, connectionId: string, move: Move, payload: Json, ctx: CallContext): Promise<Result> {
    const errand = { type: 'access.grant', server, connectionId, ...forGrant(pairOf(move)), payload, expires: true } as const
    const result = await this.#sending.ask(errand, ctx, this.#timeoutMs)
    const error = errorOf(result)
    if (!error) return result
    // The broker delivers it again, when nobody waits for it any more.
    if (result.retryable) await this.#takeBack(server, connectionId, pairOf(move), ctx)
    throw error
  }

  #spend(serverId: string, connectionId: string, pair: Pair): void {
    if (this.#spent.size >= mostSpent) this.#spent.clear()
    this.#spent.add(keyOf(serverId, connectionId, pair))
  }

  /** A worker is back, and has done what waited for it. */
  #unasked(result: Result): void {
    this.#tally.unasked++
    this.#sending.heard(result.serverId)
    this.#syncs.heard(result.serverId)
    const [start, end] = ['revoke:', `:${result.serverId}:${result.token}.${result.epoch}`]
    const key = result.idempotencyKey
    if (errorOf(result) || !key.startsWith(start) || !key.endsWith(end)) return
    const gone = { connectionId: key.slice(start.length, key.length - end.length), ...fromWire(result) }
    Promise.resolve(this.#access.forget(result.serverId, [gone], { signal: this.#closing.signal })).catch(() => {})
  }
}

const pairOf = (of: Move | Pair): Pair => ({ token: 'fencingToken' in of ? of.fencingToken : of.token, epoch: of.epoch })
const keyOf = (serverId: string, connectionId: string, { token, epoch }: Pair): string =>
  JSON.stringify([serverId, connectionId, token, epoch])
const fenced = (connectionId: string): PintailError => new PintailError('fenced', `the books have seen something newer for ${connectionId}`)

function whole(name: string, value: number, low: number, high: number): void {
  if (!Number.isSafeInteger(value) || value < low || value > high)
    throw new PintailError('invalid_options', `${name}: must be a whole number from ${low} to ${high}, not ${value}`)
}
