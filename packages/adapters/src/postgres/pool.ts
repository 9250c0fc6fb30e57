import { type Clock, errorText, isPintailError, PintailError } from '@pintail/core'

/** What is used of a client of `pg`. */
export interface PgClient {
  query(text: string, values?: unknown[]): PromiseLike<{ readonly rows: readonly unknown[] }>
  /** True: the connection is closed instead of being used again. */
  release(destroy?: boolean): void
  on(event: 'error', listener: (error: Error) => void): unknown
  removeListener(event: 'error', listener: (error: Error) => void): unknown
}

/** What is used of the host's own pool: `new Pool()` of `pg`. It stays the host's: nothing here ends it. */
export interface PgPool {
  /**
   * By callback, because a connection that the server ends at once tells so before a promise could have told of it, and
   * without a listener that ends the process.
   */
  connect(callback: (error: Error | undefined, client: PgClient | undefined) => void): void
}

/** A connection of the pool that never raises: who uses it hears of its end with his statement. */
export function takeFrom(pool: PgPool): Promise<{ readonly client: PgClient; readonly give: (destroy: boolean) => void }> {
  return new Promise((resolve, reject) => {
    pool.connect((error, client) => {
      if (!client) return reject(error ?? new Error('the pool has given no connection'))
      let isCut = false
      const onError = (): void => {
        isCut = true
      }
      client.on('error', onError)
      const give = (destroy: boolean): void => {
        // One that is closed may still tell so.
        if (!destroy && !isCut) client.removeListener('error', onError)
        client.release(destroy || isCut)
      }
      resolve({ client, give })
    })
  })
}

/** Why a statement has failed: whether it was sent at all, and the SQLSTATE, if the server has answered with one. */
export class StatementFailure extends Error {
  readonly isSent: boolean
  readonly sqlState: string | null

  constructor(error: unknown, isSent: boolean) {
    super(errorText(error), { cause: error })
    const { code } = (error ?? {}) as { readonly code?: unknown }
    this.isSent = isSent
    this.sqlState = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null
  }

  /** The server has said that it has undone it, or it was never sent. */
  get isWithoutEffect(): boolean {
    return !this.isSent || (this.sqlState !== null && !endsConnection(this.sqlState))
  }
}

/** After these the connection is over, and a statement may have been kept before. */
const endsConnection = (sqlState: string): boolean => /^(08|57P|XX)/.test(sqlState)

/** A server that has become read-only is the old one of a failover: the next connection may reach the new one. */
const isUseless = (sqlState: string): boolean => endsConnection(sqlState) || sqlState === '25006'

/**
 * One statement on a connection of the pool. A call that is given up closes its connection, because what the server may
 * still answer there is nobody's.
 * @throws StatementFailure, PintailError `aborted` before it is sent
 */
export async function ask<Row>(
  pool: PgPool,
  text: string,
  values: unknown[],
  { signal, clock, timeoutMs }: { readonly signal: AbortSignal; readonly clock: Clock; readonly timeoutMs: number },
): Promise<readonly Row[]> {
  const { client, give } = await checkOut(pool, signal, clock, timeoutMs)
  let isBroken = false
  try {
    return (await untilAborted(client.query(text, values), signal)).rows as readonly Row[]
  } catch (error) {
    const failed = new StatementFailure(error, true)
    isBroken = failed.sqlState === null || isUseless(failed.sqlState)
    throw failed
  } finally {
    give(isBroken)
  }
}

/** A connection, within the time: a pool without a time-out of its own waits for ever. */
async function checkOut(pool: PgPool, signal: AbortSignal, clock: Clock, timeoutMs: number): ReturnType<typeof takeFrom> {
  if (signal.aborted) throw new PintailError('aborted', 'given up before it was done', { cause: signal.reason })
  const ending = new AbortController()
  const giveUp = (): void => ending.abort(signal.reason)
  const timer = clock.setTimeout(
    () => ending.abort(new Error(`no connection within ${timeoutMs} ms: the pool is exhausted, or the server is away`)),
    timeoutMs,
  )
  signal.addEventListener('abort', giveUp, { once: true })
  let asked: ReturnType<typeof takeFrom> | null = null
  try {
    asked = takeFrom(pool)
    return await untilAborted(asked, ending.signal)
  } catch (error) {
    // Whoever comes late goes back at once.
    if (ending.signal.aborted)
      asked?.then(
        ({ give }) => give(false),
        () => {},
      )
    throw new StatementFailure(error, false)
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', giveUp)
  }
}

function untilAborted<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    const end = (): void => signal.removeEventListener('abort', stop)
    promise.then(
      (value) => {
        end()
        resolve(value)
      },
      (error) => {
        end()
        reject(error)
      },
    )
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

const remedies: Readonly<Record<string, string>> = {
  '25006': 'The server is read-only, as after a failover: let the pool reach the primary.',
  '3D000': 'Make the database.',
  '3F000': 'Run migrate(), or schemaSql() with your own tool.',
  '42501': 'Give the role the right to use the schema, and to read and write its tables.',
  '42P01': 'Run migrate(), or schemaSql() with your own tool.',
  '53100': 'Make room on the disk of the server.',
  '53300': 'Fewer or smaller pools, or a larger max_connections.',
  '55P03': 'Somebody holds a lock on the tables of Pintail: look into pg_locks.',
}

/** What it means to the engine. `unavailable`: nothing was written; another code: it may have been, and comes again. */
export function failure(error: unknown): PintailError {
  if (isPintailError(error)) return error
  if (!(error instanceof StatementFailure)) return new PintailError('internal', errorText(error), { cause: error })
  const { sqlState, isWithoutEffect, cause, message } = error
  const remedy = remedies[sqlState ?? ''] ?? 'Check the database; Pintail goes on by itself.'
  const what = `PostgreSQL${sqlState ? ` (${sqlState})` : ''}: ${message}`
  return new PintailError(isWithoutEffect ? 'unavailable' : 'internal', what, { cause, remedy })
}
