import type { CallContext, ConnectionInput, Json, ServerInput, ServerRegistry } from '@pintail/core'
import type { Pair } from '../regions/messages.ts'

/** One connection's access on one server, as it is to be. */
export interface AccessRow extends Pair {
  readonly connectionId: string
  readonly serverId: string
  /** `revoked`: it is to go, and no worker has said yet that it has gone. What has gone has no row. */
  readonly wanted: 'granted' | 'revoked'
  /** Granted for a move that has not made the server the home: no part of what a sync wants there. */
  readonly isTentative: boolean
  /** What the server's side needs for it (WireGuard: public key, allowed IPs); never a private key. */
  readonly payload: Json
}

/** All that the books know of a connection, at one moment. (`token`, `epoch`): the newest that they have seen for it. */
export interface AccessView extends Pair {
  /** The server that is its home. */
  readonly serverId: string
  /** The keys of the newest moves that had their effect, the newest first: at most `keptKeys`. */
  readonly keys: readonly string[]
  readonly rows: readonly AccessRow[]
}

/** How many keys of moves are remembered for each connection. */
export const keptKeys = 8

/** Something that is to be on a server, or to go. */
export interface Want extends Pair {
  readonly connectionId: string
  readonly serverId: string
  readonly wanted: 'granted' | 'revoked'
  /** Absent: what the row has, or else what the connection's home has. */
  readonly payload?: Json
}

/**
 * `fenced`: the books have seen something newer, so nothing was changed. `home`: it is at home there, so that its access
 * cannot be wanted gone. `no_connection`, `no_server`: the books have none of this id.
 */
export type WantOutcome = 'kept' | 'fenced' | 'home' | 'no_connection' | 'no_server'

export interface HomeChange extends Pair {
  readonly connectionId: string
  readonly from: string
  readonly to: string
  /** The pair of the grant on `to` that this rests on: if it is another by now, the home stays as it is. */
  readonly grant: Pair
  /** What is wanted on `from` from now on: after a move the access stays until it is taken back, an undoing wants it gone at once. */
  readonly leaves: 'granted' | 'revoked'
  /** Of the move that does it, to be remembered; null: an undoing has none. */
  readonly key: string | null
}

/** `elsewhere`: the home is neither `from` nor `to`. `fenced`: the grant is gone, or the books have seen something newer. */
export type HomeOutcome = 'set' | 'fenced' | 'elsewhere'

/** A server as the books name it. */
export interface AccessServer {
  readonly id: string
  readonly region: string | null
}

/**
 * Who has access where: the host's own books, which name the home of each connection and what is wanted on each server.
 * Newer is who is higher in (`token`, `epoch`); at the same pair a revoke is newer than a grant.
 *
 * Each method is atomic and may be repeated. It throws PintailError `unavailable` if surely nothing was changed; any
 * other throw leaves that open.
 */
export interface AccessBook {
  /** Null: there is no such connection. */
  look(connectionId: string, ctx: CallContext): PromiseLike<AccessView | null>
  /**
   * Keeps what is wanted, unless something newer is known of this connection, or a newer token was fenced. A grant elsewhere
   * than at home is tentative. The same pair again changes nothing, but a grant to a revoke.
   */
  want(want: Want, ctx: CallContext): PromiseLike<WantOutcome>
  /** A compare-and-set. `set` also if the home is `to` already. The grant there is tentative no more. */
  setHome(change: HomeChange, ctx: CallContext): PromiseLike<HomeOutcome>
  /** These have gone from the server: each row that has this pair still, and is not of a home, is dropped. */
  forget(serverId: string, gone: readonly (Pair & { readonly connectionId: string })[], ctx: CallContext): PromiseLike<unknown>
  /**
   * The rows of a server in the order of their connections' ids, a page at a time: those after `after` (null: from the
   * first on), at most `limit`. A page that is not full is the last one.
   */
  rowsOn(
    serverId: string,
    page: { readonly after: string | null; readonly limit: number },
    ctx: CallContext,
  ): PromiseLike<readonly AccessRow[]>
  /** All servers. */
  servers(ctx: CallContext): PromiseLike<readonly AccessServer[]>
  /** From now on `want` and `setHome` refuse every token below this one. False: this one is refused itself. */
  fence(token: number, ctx: CallContext): PromiseLike<boolean>
}

/** Books that Pintail keeps for the host, and the registry over them. Ids: `"3"` and `3` are one. */
export interface AccessBooks extends AccessBook, ServerRegistry {
  setServerStatus: NonNullable<ServerRegistry['setServerStatus']>
  /** Adds a server, or changes its row; the status of one that is known stays, unless the row has one. */
  putServer(server: ServerInput, ctx?: CallContext): Promise<void>
  /** Who is at home there stays so, and is no more listed by anybody. */
  removeServer(id: string | number, ctx?: CallContext): Promise<void>
  /**
   * The host's own word: this connection is at home there from now on, known before or not. Its access elsewhere is wanted
   * gone. A worker hears of it with the next sync (`NatsMover.sync`).
   * @param payload what the server's side needs. Default: what it had at its last home, or null
   */
  assign(connection: ConnectionInput, server: string | number, payload?: Json, ctx?: CallContext): Promise<void>
  /** It is gone, with all its access. */
  remove(connection: string | number, ctx?: CallContext): Promise<void>
  /** The server that is its home; null: there is no such connection. */
  homeOf(connection: string | number, ctx?: CallContext): Promise<string | null>
}
