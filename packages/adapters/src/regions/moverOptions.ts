import type { CallContext, Clock, Connection, ConnectionMover, Json, Logger, Random, Server } from '@pintail/core'
import type { AccessBook } from '../access/book.ts'
import type { MoverFigures } from './moverFigures.ts'
import type { SyncReport } from './syncReport.ts'

export interface RegionMoverOptions {
  /** The host's books: who is to have access where. */
  readonly access: AccessBook
  /**
   * What a server needs to let this connection in (WireGuard: public key, allowed IPs); never a private key. Plain JSON of at most 64 KiB.
   * Default: what the connection has at its home.
   */
  readonly accessFor?: (connection: Connection, server: Server, ctx: CallContext) => PromiseLike<Json> | Json
  /** Whose worker does it for this server; null: nobody's. Default: the server's own `region`. */
  readonly regionOf?: (server: { readonly id: string; readonly region: string | null }) => string | null
  /**
   * How long a worker may take, milliseconds, 100–3 600 000; a grant that was not begun by then is not begun any more. At
   * most the policy's `migration.timeoutMs`. Default 20 000, as there.
   */
  readonly timeoutMs?: number
  /** Whether `verify` asks the worker for its word that the client can use the access. Default false: then there is no `verify`. */
  readonly checks?: boolean
  /** The fencing token while this engine leads, else null: only who leads syncs. Default: no syncs but by `sync()`, and that is refused. */
  readonly leads?: () => number | null
  /** Pause between two full syncs of a server, milliseconds, 1 000–86 400 000, a tenth more or less; null: none of their own accord. Default 300 000. */
  readonly syncEveryMs?: number | null
  /** A sync has found that a server was not as it should be. */
  readonly onDrift?: (report: SyncReport) => void
  readonly clock?: Clock
  readonly random?: Random
  readonly logger?: Logger
}

/** A mover over region workers. It holds a subscription and a timer until `close()`. */
export interface RegionMover extends ConnectionMover {
  readonly confirmation: 'applied'
  readonly fencing: 'enforced'
  complete: NonNullable<ConnectionMover['complete']>
  locate: NonNullable<ConnectionMover['locate']>
  rollback: NonNullable<ConnectionMover['rollback']>
  /**
   * A full sync now, of one server or of all: one report each, in the order in which they end.
   * @throws PintailError `not_leader`; `not_found`: no such server
   */
  sync(serverId?: string | number, ctx?: Partial<CallContext>): Promise<readonly SyncReport[]>
  figures(): MoverFigures
  /** Ends what it has begun; calls that wait end with `stopped`. The transport stays open. */
  close(): Promise<void>
}
