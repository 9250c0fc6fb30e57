import { type CallContext, isPintailError, type LogEntry, type Logger, type LogSink, type PintailError } from '@pintail/core'
import { HttpFailure } from '../http/failure.ts'
import type { DuckApi } from './api.ts'
import { Bounded } from './bounded.ts'
import { reasonFor } from './reasons.ts'
import { whole } from './rows.ts'

/** Refusals of one entry, each an answer of the service, after which it is given up. */
const refusals = { permanent: 3, unclear: 500 }

/** What the database says to an entry that it will never take; everything else may pass, e.g. that it is down itself. */
const neverTaken = /violates|foreign key|out of range|invalid input|too long|нарушает|вне диапазона|неверный синтаксис/i

/**
 * VPN Duck's table of migrations: one row for each user who was moved, and in v2 also for each who could not be. Other
 * entries of the trail have no place there. The API takes no id, so an entry whose answer got lost is there twice.
 */
export class DuckLog implements LogSink {
  readonly #api: DuckApi
  readonly #logger: Logger | undefined
  readonly #written = new Bounded<string, true>(20_000)
  readonly #refused = new Bounded<string, number>(1000)

  constructor(api: DuckApi, logger: Logger | undefined) {
    this.#api = api
    this.#logger = logger
  }

  async write(entry: LogEntry, ctx: CallContext): Promise<void> {
    ctx.signal.throwIfAborted()
    const { id, success } = entry
    if (success === null || this.#written.has(id)) return
    const [user, from, to] = [entry.connectionId, entry.fromServerId, entry.toServerId].map(whole)
    if (user === null || from === null || to === null) return this.#drop(entry, 'VPN Duck takes whole numbers only')
    // v1 does not read `success`: there a failure would count as a migration.
    if (!success && (await this.#api.spoken(ctx)).dialect === 'v1') return
    const row = { user_id: user, from_server_id: from, to_server_id: to, migration_reason: reasonFor(entry.reason), success }
    try {
      await this.#api.logMigration(row, ctx)
    } catch (error) {
      if (this.#isHopeless(id, error)) return this.#drop(entry, (error as PintailError).message)
      throw error
    }
    this.#written.set(id, true)
    this.#refused.delete(id)
  }

  /** The rest of the trail waits behind this entry: one that can never be written must not hold it for ever. */
  #isHopeless(id: string, error: unknown): boolean {
    if (!(error instanceof HttpFailure) || error.facts.status === null || error.facts.isRouteMissing) return false
    const { status, text = '' } = error.facts
    if (status !== 500 && !isPintailError(error, 'rejected')) return false
    const times = (this.#refused.get(id) ?? 0) + 1
    this.#refused.set(id, times)
    return times >= (status === 500 && !neverTaken.test(text) ? refusals.unclear : refusals.permanent)
  }

  #drop(entry: LogEntry, why: string): void {
    this.#written.set(entry.id, true)
    this.#refused.delete(entry.id)
    const { id, connectionId, fromServerId, toServerId } = entry
    this.#logger?.warn(
      {
        entry: id,
        connectionId,
        fromServerId,
        toServerId,
        why,
        remedy: 'Use a second log, e.g. @pintail/adapters/jsonl, to keep every entry.',
      },
      `VPN Duck's log does not take entry ${id}; it is left out`,
    )
  }
}
