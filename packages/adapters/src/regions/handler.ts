import type { Json } from '@pintail/core'
import type { Pair } from './messages.ts'

/** One connection's access on one server, as a command asks for it. */
export interface Access extends Pair {
  readonly serverId: string
  readonly connectionId: string
  /** Milliseconds since 1970 by the worker's clock: not to be begun after it. Null: never too late. */
  readonly deadline: number | null
  /** What the engine's side sent for it (WireGuard: public key, allowed IPs). Checked for its size alone. */
  readonly payload: Json
}

/** What is really on a server. */
export interface Listed {
  /** Null: somebody's whom this handler did not make. A sync leaves him alone and counts him. */
  readonly connectionId: string | null
  /** As far as it is known. Fields that the wanted payload has too are compared with it: who differs is granted again. */
  readonly payload: Json
}

/** Everything that a sync knows of one server. */
export interface Desired {
  readonly serverId: string
  /** Who has to be there. */
  readonly granted: readonly Access[]
  /** Who has to be gone. Whoever is in neither list stays as he is. */
  readonly revoked: readonly Access[]
}

/** The second parameter of every call to a handler. */
export interface HandlerContext {
  /** Fires at the time-out of the call, and when the worker stops. */
  readonly signal: AbortSignal
  /** W3C `traceparent` of the command, where there is one. */
  readonly traceId: string | null
}

/**
 * What a worker does on real servers. Calls for one connection on one server come one after the other, others at the same time.
 *
 * Errors: `PintailError('rejected')` is permanent; `'unavailable'` means that nothing happened and it may be tried again;
 * any other throw, an abort or a time-out is tried again too, so each method must be repeatable.
 */
export interface RegionHandler {
  /**
   * Makes the access be there as `access.payload` says. Must be idempotent: after a crash, or for an answer that was lost, it is
   * called again. What it returns goes back with the result, if it is plain JSON of at most 64 KiB: what the client needs,
   * never a private key.
   */
  grant(access: Access, ctx: HandlerContext): PromiseLike<unknown>
  /** Makes it be gone. Must be idempotent: a grant that is not there is fine. */
  revoke(access: Access, ctx: HandlerContext): PromiseLike<unknown>
  /** What is really there. Without it a sync goes by the worker's book. */
  list?(serverId: string, ctx: HandlerContext): PromiseLike<readonly Listed[]>
  /** True if the client can use it (WireGuard: a handshake since the grant). Without it `access.check` is answered with what the book says. */
  check?(access: Access, ctx: HandlerContext): PromiseLike<boolean>
  /** Only where one call is better than `grant` and `revoke` for each difference. Nothing else is done on the server meanwhile. */
  sync?(desired: Desired, ctx: HandlerContext): PromiseLike<unknown>
}
