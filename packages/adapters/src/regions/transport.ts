import type { CallContext } from '@pintail/core'
import type { Command, Result, WorkerEvent } from './messages.ts'

/** What the engine's side needs of a broker. */
export interface CommandTransport {
  /** Where the answers to this sender go: `replyTo` of its commands. */
  readonly replyTo: string
  /**
   * Resolves when the broker keeps the command until its worker has done it. One whose idempotency key still waits there is
   * not kept twice; one that was taken meanwhile is kept anew, and answered anew.
   *
   * Throws PintailError `unavailable` if surely nothing was kept; `invalid_argument` if it is too large. Any other throw
   * leaves open whether it was.
   */
  publish(command: Command, ctx: CallContext): PromiseLike<unknown>
  /** Every answer to this sender, in any order, perhaps twice. What it returns ends it. */
  onResult(listener: (result: Result) => void): () => void
  /** What workers tell without being asked. */
  onEvent(listener: (event: WorkerEvent) => void): () => void
  /** Ends what the transport itself has begun; the host's connection stays open. */
  close(): PromiseLike<unknown>
}
