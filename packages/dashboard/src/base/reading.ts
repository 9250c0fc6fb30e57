import type { ReactiveController } from 'lit'
import { type Trouble, troubleOf } from '../session/trouble.ts'

export type Read<T> =
  | { readonly state: 'none' }
  | { readonly state: 'loading' }
  | { readonly state: 'done'; readonly value: T }
  | { readonly state: 'failed'; readonly why: Trouble }

/** One thing that an element reads by itself, beside the model: begun anew when it is another thing, given up when the element leaves. */
export class Reading<T> implements ReactiveController {
  readonly #host: { addController(controller: ReactiveController): void; requestUpdate(): void }
  #key: string | null = null
  #begin: ((signal: AbortSignal) => Promise<T>) | null = null
  #run: AbortController | null = null
  #now: Read<T> = { state: 'none' }

  constructor(host: { addController(controller: ReactiveController): void; requestUpdate(): void }) {
    this.#host = host
    host.addController(this)
  }

  get now(): Read<T> {
    return this.#now
  }

  /** The value; null while there is none. */
  get value(): T | null {
    return this.#now.state === 'done' ? this.#now.value : null
  }

  /** An element that was moved within the page begins anew. */
  hostConnected(): void {
    this.#host.requestUpdate()
  }

  hostDisconnected(): void {
    this.want(null, null)
  }

  /** @param key what it is: the same key is not read again. Null: nothing is wanted any more */
  want(key: string | null, begin: ((signal: AbortSignal) => Promise<T>) | null): void {
    if (key === this.#key) return
    this.#key = key
    this.#begin = begin
    this.#now = { state: 'none' }
    this.again()
  }

  /** Reads it again; what was read before stands until then. */
  again(): void {
    this.#run?.abort()
    this.#run = null
    const begin = this.#begin
    if (!begin) return
    const run = new AbortController()
    this.#run = run
    if (this.#now.state !== 'done') this.#now = { state: 'loading' }
    const end = (now: Read<T>): void => {
      if (run.signal.aborted) return
      this.#now = now
      this.#host.requestUpdate()
    }
    begin(run.signal).then(
      (value) => end({ state: 'done', value }),
      (error: unknown) => end({ state: 'failed', why: troubleOf(error) }),
    )
    this.#host.requestUpdate()
  }
}
