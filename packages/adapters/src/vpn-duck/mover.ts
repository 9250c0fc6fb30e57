import {
  type CallContext,
  type Clock,
  type ConnectionMover,
  isPintailError,
  type Located,
  type Move,
  PintailError,
  type Server,
} from '@pintail/core'
import { within } from '../http/waiting.ts'
import type { DuckApi } from './api.ts'
import { Bounded } from './bounded.ts'
import { type Found, type Homes, notKnown } from './homes.ts'
import { reasonFor } from './reasons.ts'
import { type Seen, seenEverything, usableConfig, whole } from './rows.ts'

/** The home is looked at first for at most this long; then the call is made without knowing it, milliseconds. */
const lookWithinMs = 5000

/**
 * Moves users by `change_geolocation`, one by one. It changes VPN Duck's books and nothing else: the user's client goes
 * on with its old file until the bot has given it the new one, which is why a resolved move is only `accepted`.
 */
export class DuckMover implements ConnectionMover {
  readonly granularity = 'connection'
  readonly confirmation = 'accepted'
  readonly fencing = 'none'
  readonly #api: DuckApi
  readonly #homes: Homes
  readonly #clock: Clock
  /** Keys that have had their effect, for as long as this process lives. */
  readonly #used = new Bounded<string, true>(200_000)

  constructor(api: DuckApi, homes: Homes, clock: Clock) {
    this.#api = api
    this.#clock = clock
    this.#homes = homes
  }

  async move(move: Move, ctx: CallContext): Promise<unknown> {
    const { user, home, isThere } = await this.check(move, ctx)
    if (home?.at === 'unknown') await this.#clearUp(user, move, ctx)
    const access = isThere ? null : await this.#change(user, move.from, move.to, reasonFor(move.reason), home?.seen ?? seenEverything, ctx)
    this.#used.set(move.key, true)
    return access
  }

  /**
   * Whether the move is still to be made. `home` is null where it could not be found out.
   * @throws PintailError `rejected` where it must not be
   */
  async check(move: Move, ctx: CallContext): Promise<{ user: number; home: Found | null; isThere: boolean }> {
    const user = userOf(move)
    const home = await this.#look(user, move, ctx)
    if (home?.at === 'nowhere') throw noConfiguration(user)
    if (home?.at !== 'server') return { user, home, isThere: false }
    const { server, isContested } = home
    // A used key has had its one effect: whoever has been brought back since stays there.
    if (this.#used.has(move.key) && (server === move.from.id || isContested)) throw movedSince(user, 'back')
    if (server !== move.from.id && server !== move.to.id) throw movedSince(user, `to server ${server}`)
    return { user, home, isThere: server === move.to.id && !isContested }
  }

  /**
   * An earlier move of his has had no answer, perhaps because the process was killed. Sent to a third server he would be
   * moved twice; made once more it changes nothing if it has happened, and then it is known where he is.
   * @throws PintailError `rejected` because he lives there now
   */
  async #clearUp(user: number, move: Move, ctx: CallContext): Promise<void> {
    const word = this.#homes.unclearMove(user)
    if (!word || word.from !== move.from.id || word.to === move.to.id) return
    const row = await this.#api.server(Number(word.to), ctx).catch((error) => {
      if (isPintailError(error, 'rejected')) return null
      throw error
    })
    const [server, geolocationId] = [whole(word.to), row?.geolocationId ?? null]
    // It is gone: then he is free for another one.
    if (server === null || geolocationId === null) return
    await this.#api.changeGeolocation({ user, geolocationId, server, reason: reasonFor(move.reason) }, ctx)
    this.#homes.moved(user, word.from, word.to, word.seen, false)
    throw movedSince(user, `to server ${word.to}`)
  }

  async locate(move: Move, ctx: CallContext): Promise<Located> {
    const user = userOf(move)
    const home = await this.#homes.of(user, [move.from.id, move.to.id], ctx)
    if (home.at === 'unknown') throw notKnown(user, home.why)
    if (home.at === 'nowhere') return 'absent'
    if (home.server === move.to.id) return 'on_target'
    return home.server === move.from.id ? 'on_source' : 'absent'
  }

  async rollback(move: Move, ctx: CallContext): Promise<void> {
    const user = userOf(move)
    const home = await this.#homes.of(user, [move.from.id, move.to.id], ctx)
    // Whoever is known to be elsewhere stays there; of whom nothing is known the call may have reached the books.
    if (home.at === 'nowhere' || (home.at === 'server' && home.server !== move.to.id)) return
    await this.#change(user, move.to, move.from, reasonFor(move.reason), home.seen, ctx)
  }

  /** Where he is now; null: that cannot be found out soon enough, and the evacuation must not wait for it. */
  async #look(user: number, { from, to }: Move, ctx: CallContext): Promise<Found | null> {
    try {
      return await within(this.#clock, lookWithinMs, ctx.signal, async (signal) => {
        const soon = { ...ctx, signal }
        const home = await this.#homes.of(user, [from.id, to.id], soon)
        const isCertain = home.at !== 'server' || home.configuration !== null || home.server === to.id
        return isCertain || !(await this.#homes.hasNone(user, soon)) ? home : { at: 'nowhere', seen: home.seen }
      })
    } catch {
      ctx.signal.throwIfAborted()
      return null
    }
  }

  async #change(user: number, from: Server, to: Server, reason: string, seen: Seen, ctx: CallContext): Promise<unknown> {
    const server = whole(to.rawId)
    if (server === null) throw noServer(to.id)
    const geolocationId = await this.#geolocationOf(to, server, ctx)
    let row: Readonly<Record<string, unknown>> | null
    const forget = this.#homes.intend(user, from.id, to.id, seen)
    try {
      row = await this.#api.changeGeolocation({ user, geolocationId, server, reason }, ctx)
    } catch (error) {
      if (isPintailError(error, 'rejected') || isPintailError(error, 'unavailable')) forget()
      else this.#homes.unclear(user, from.id, to.id, seen)
      throw error
    }
    if (row !== null && String(row.server_id) !== String(server))
      throw new PintailError('internal', `VPN Duck moved user ${user} to server ${String(row.server_id).slice(0, 40)} instead of ${to.id}`)
    this.#homes.moved(user, from.id, to.id, seen, row !== null)
    return row && { config: usableConfig(row) }
  }

  /** Both dialects need it, and neither looks it up itself. */
  async #geolocationOf(server: Server, id: number, ctx: CallContext): Promise<number> {
    const listed = whole(server.meta?.geolocationId)
    if (listed !== null) return listed
    const row = await this.#api.server(id, ctx)
    if (!row) throw noServer(server.id)
    if (row.geolocationId !== null) return row.geolocationId
    throw new PintailError('rejected', `VPN Duck's server ${server.id} has no geolocation, without which nobody can be moved there`, {
      remedy: 'Give it a geolocation in VPN Duck.',
    })
  }
}

function userOf({ connection }: Move): number {
  const user = whole(connection.id)
  if (user !== null) return user
  throw new PintailError('rejected', 'VPN Duck knows users by whole numbers only')
}

function noConfiguration(user: number): PintailError {
  return new PintailError('rejected', `VPN Duck has no active configuration of user ${user}: there is nothing to move`)
}

function noServer(id: string): PintailError {
  return new PintailError('rejected', `VPN Duck has no server ${id}`)
}

function movedSince(user: number, where: string): PintailError {
  return new PintailError('rejected', `VPN Duck has moved user ${user} ${where} in the meantime`)
}
