/**
 * Calls with the same key go together: whoever asks while one is under way gets the answer of the next one, which is
 * begun afterwards, so that no answer is older than its question.
 */
export class Together<K, V> {
  readonly #ask: (key: K) => Promise<V>
  readonly #running = new Map<K, { readonly answer: Promise<V>; next: Promise<V> | null }>()

  constructor(ask: (key: K) => Promise<V>) {
    this.#ask = ask
  }

  get(key: K): Promise<V> {
    const running = this.#running.get(key)
    if (!running) return this.#begin(key)
    running.next ??= running.answer.then(
      () => this.#begin(key),
      () => this.#begin(key),
    )
    return running.next
  }

  #begin(key: K): Promise<V> {
    const answer = this.#ask(key)
    const running = { answer, next: null }
    this.#running.set(key, running)
    const end = (): void => {
      if (this.#running.get(key) === running) this.#running.delete(key)
    }
    answer.then(end, end)
    return answer
  }
}
