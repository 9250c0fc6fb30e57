import { errorText } from '../errors.ts'
import type { CallContext, Clock, MemberPost, MigrationStore } from '../ports.ts'
import { callOut, sleep } from '../time.ts'
import type { Warnings } from '../watch/warnings.ts'
import { type Body, parseBody } from './body.ts'

/** Engines write to each other this often while there is more than one of them, milliseconds. */
export const postEveryMs = 1000
/** While something is suspected, and milliseconds count. */
const urgentEveryMs = 250
/** One alone looks this often whether somebody has come, milliseconds. */
const lookEveryMs = 5000
const callTimeoutMs = 5000

/** What an engine does with it, while it leads or stands by. */
export interface Role {
  /** What the others are to know; null: nothing, because there are none. */
  body(): Body | null
  take(from: string, body: Body): void
  /** Whether these posts are of use now. */
  reads(from: string): boolean
  /** Whether something is looked into that cannot wait. */
  isUrgent(): boolean
}

interface ExchangeParts {
  readonly store: MigrationStore
  readonly clock: Clock
  readonly warnings: Warnings
  /** The name of this engine in the lease: no other one has it. */
  readonly me: string
}

/**
 * Where engines over one store meet: each writes its newest posts there and reads those of the others. What gets lost is
 * only older than what comes next, so nothing is repeated and nothing waits for it.
 */
export class Exchange {
  readonly #parts: ExchangeParts
  readonly #read = new Map<string, number>()
  #number = 0

  constructor(parts: ExchangeParts) {
    this.#parts = parts
  }

  /** False: this store has no place to meet, so that only the leader probes. */
  get isOpen(): boolean {
    const { post, posts } = this.#parts.store
    return typeof post === 'function' && typeof posts === 'function'
  }

  /** Until the signal fires. Never rejects. */
  async run(role: Role, stopped: AbortSignal): Promise<void> {
    const { clock, warnings } = this.#parts
    while (this.isOpen && !stopped.aborted) {
      let pauseMs = lookEveryMs
      try {
        await this.#collect(role, stopped)
        const body = role.body()
        if (body) await this.#post(body, stopped)
        if (body) pauseMs = role.isUrgent() ? urgentEveryMs : postEveryMs
        warnings.over('exchange')
      } catch (error) {
        if (stopped.aborted) return
        warnings.once('exchange', 'unavailable', `engines cannot tell each other what they see: ${errorText(error)}`, {
          remedy: 'Check the store. The leader probes all servers meanwhile.',
        })
      }
      await sleep(clock, pauseMs, stopped).catch(() => {})
    }
  }

  /** The last word of somebody who goes. Never rejects. */
  async leave(body: Body, signal: AbortSignal): Promise<void> {
    if (this.isOpen) await this.#post(body, signal).catch(() => {})
  }

  async #post(body: Body, signal: AbortSignal): Promise<void> {
    const number = ++this.#number
    await this.#call(signal, (ctx) => this.#parts.store.post?.({ from: this.#parts.me, number, body }, ctx) ?? Promise.resolve())
  }

  async #collect(role: Role, signal: AbortSignal): Promise<void> {
    const { me, warnings } = this.#parts
    // Whose posts are of no use now is asked for none of them.
    const after = [...this.#read].map(([from, number]) => [from, role.reads(from) ? number : Number.MAX_SAFE_INTEGER] as const)
    const query = Object.fromEntries([...after, [me, Number.MAX_SAFE_INTEGER]])
    const posts: readonly MemberPost[] =
      (await this.#call(signal, (ctx) => this.#parts.store.posts?.(query, ctx) ?? Promise.resolve([]))) ?? []
    for (const { from, number, body } of posts) {
      if (from === me || number <= (this.#read.get(from) ?? 0)) continue
      this.#read.set(from, number)
      const parsed = parseBody(body)
      if (parsed) role.take(from, parsed)
      else
        warnings.once(`exchange/${from}`, 'invalid_row', `what engine ${from.slice(0, 100)} tells is not understood`, {
          remedy: 'Run one version of Pintail on all engines of a store.',
        })
    }
    // Bounded: engines come and go over months.
    for (const from of [...this.#read.keys()].slice(0, -mostKnown)) this.#read.delete(from)
  }

  #call<T>(signal: AbortSignal, call: (ctx: CallContext) => PromiseLike<T>): Promise<T> {
    return callOut(this.#parts.clock, callTimeoutMs, signal, 'the store', call)
  }
}

/** Names of other engines that are remembered. */
const mostKnown = 200
