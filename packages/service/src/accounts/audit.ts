import { randomUUID } from 'node:crypto'
import { errorText, type LogSink } from '@pintail/core'
import type { Logger } from 'pino'

/** An attempt that was refused, or a change that was let through. Never a credential, never an address. */
export interface Attempt {
  /** The code of the refusal, or `allowed`. */
  readonly code: string
  /** Null: nobody knows. */
  readonly who: string | null
  /** What was asked for, as `authorize` knows it; null: nothing that there is. */
  readonly action: string | null
  readonly method: string
  /** The pattern of the route, as `/api/migrations/:id`: a path may name users. */
  readonly route: string | null
  readonly requestId: string
}

interface AuditOptions {
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** The audit trail, where there is one. */
  readonly sink?: LogSink | null
  readonly now?: () => number
}

/** How long the same is counted together, milliseconds. */
export const windowMs = 60_000
/** In one window: lines for the same attempt by the same one, and for all. */
const mostAlike = 3
const mostLines = 30
/** Different attempts that are counted apart in one window. */
const mostKinds = 100
const shownKinds = 10
const writeMs = 5000

/** Tells who was refused what. A flood is counted, and told in one line a minute. */
export class Audit {
  readonly #options: AuditOptions
  readonly #now: () => number
  #counts = new Map<string, number>()
  #lines = 0
  #untold = 0
  #timer: NodeJS.Timeout | null = null
  #isSinkDown = false

  constructor(options: AuditOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  refused(attempt: Attempt): void {
    const { code, who, action, method, route } = attempt
    const what = action ?? `${method} ${route ?? '(nothing)'}`
    const kind = `${code}, ${who ?? 'nobody known'}, ${what}`
    const key = this.#counts.has(kind) || this.#counts.size < mostKinds ? kind : 'others'
    const alike = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, alike)
    this.#timer ??= setTimeout(() => this.flush(), windowMs).unref()
    if (alike > mostAlike || this.#lines >= mostLines) {
      this.#untold++
      return
    }
    this.#lines++
    this.#options.logger.warn(dataOf(attempt), `refused: ${kind}`)
    this.#write('access.refused', dataOf(attempt))
  }

  /** A change that somebody was allowed to make, and what became of it. Rate limits bound these. */
  allowed(attempt: Attempt, status: number): void {
    const data = { ...dataOf(attempt), status }
    this.#options.logger.info(data, `${attempt.who ?? 'nobody'}: ${attempt.action} → ${status}`)
    this.#write('access.used', data)
  }

  /** The end of a window: what was only counted is told. */
  flush(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const [untold, counts] = [this.#untold, [...this.#counts].sort(([, a], [, b]) => b - a)]
    this.#counts = new Map()
    this.#lines = 0
    this.#untold = 0
    if (untold === 0) return
    const most = Object.fromEntries(counts.slice(0, shownKinds))
    this.#options.logger.warn({ untold, most }, `refused: ${untold} more attempts within a minute, that have no line of their own`)
    this.#write('access.refused_many', { untold, most })
  }

  #write(type: string, data: Readonly<Record<string, string | number | null | Readonly<Record<string, number>>>>): void {
    const { sink, logger } = this.#options
    if (!sink) return
    const nothing = { connectionId: null, fromServerId: null, toServerId: null, reason: null, success: null }
    const entry = { id: randomUUID(), at: this.#now(), type, ...nothing, data }
    const written = async () => sink.write(entry, { signal: AbortSignal.timeout(writeMs) })
    written().then(
      () => {
        this.#isSinkDown = false
      },
      (error: unknown) => {
        if (!this.#isSinkDown) logger.error({ err: error }, `the audit trail cannot be written, this log has it alone: ${errorText(error)}`)
        this.#isSinkDown = true
      },
    )
  }
}

const dataOf = ({ code, who, action, method, route, requestId }: Attempt) => ({ code, who, action, method, route, request_id: requestId })
