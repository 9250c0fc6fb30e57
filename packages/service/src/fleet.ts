import type { ClientNotifier, ConnectionMover, LogSink, ObservationSource, Pintail, ServerRegistry } from '@pintail/core'

/** Where the servers and their users are listed, and who moves them: VPN Duck, or books in PostgreSQL and workers over NATS. */
export interface Fleet extends AsyncDisposable {
  readonly registry: ServerRegistry
  readonly mover: ConnectionMover
  readonly log?: LogSink
  readonly observations?: ObservationSource
  readonly notifier?: ClientNotifier
  /** Why nobody could be moved now, as a health check tells it; null: nothing is known against it. */
  trouble(): 'broker_away' | null
  /** Begins what goes by what the engine sees. Before it starts; ends with the fleet. */
  follow(engine: Pintail): void
  /** Figures of its own, by name; all of them only rise. */
  figures(): Readonly<Record<string, number>>
}
