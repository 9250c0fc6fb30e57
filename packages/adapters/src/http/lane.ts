import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleWhen,
  type IPolicy,
  noJitterGenerator,
  wrap,
} from 'cockatiel'
import { HttpFailure } from './failure.ts'

export interface LaneOptions {
  /** Calls under way at once, 1–10 000. Default 16. */
  readonly concurrency: number
  /** Calls that wait for a place, 0–1 000 000. Default 10 000. */
  readonly queue: number
  /** Failures of the service in a row that open the circuit, 1–1 000. Default 10. */
  readonly breakAfter: number
  /** First pause of an open circuit, milliseconds; doubles up to 50 times that. Default: `backoffMs`, so that a call outlives it. */
  readonly breakMs: number
}

/** One kind of calls to one service: a bulkhead, and a circuit breaker that counts the service's faults, not its refusals. */
export class Lane {
  readonly #policy: IPolicy
  heldUntil = Number.NEGATIVE_INFINITY

  constructor({ concurrency = 16, queue = 10_000, breakAfter = 10, breakMs = 200 }: Partial<LaneOptions>) {
    const breaker = circuitBreaker(
      handleWhen((error) => error instanceof HttpFailure && error.facts.isFault),
      {
        halfOpenAfter: new ExponentialBackoff({ initialDelay: breakMs, maxDelay: 50 * breakMs, generator: noJitterGenerator }),
        breaker: new ConsecutiveBreaker(breakAfter),
      },
    )
    // The breaker inside: what waits in the bulkhead finds out that the circuit has opened when its turn comes.
    this.#policy = wrap(bulkhead(concurrency, queue), breaker)
  }

  run<T>(call: () => Promise<T>): Promise<T> {
    return this.#policy.execute(call)
  }

  /** The service has asked to be left alone until then. */
  hold(until: number): void {
    this.heldUntil = Math.max(this.heldUntil, until)
  }

  /** Why a call was not sent, in words that follow on its name. */
  refusal(error: unknown): string {
    if (error instanceof BrokenCircuitError) return 'was not sent: it has failed too often lately, and is left alone for a moment'
    if (error instanceof BulkheadRejectedError) return 'was not sent: too many calls wait already'
    return 'was not sent'
  }
}
