import { stat } from 'node:fs/promises'

const tickMs = 100

/** A file that is read again when it has changed. Asked about before every use, so that what it says holds from then on. */
export class WatchedFile<T> {
  readonly #path: string
  readonly #parse: (path: string) => T
  #seen: string | null = null
  #value: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown } | null = null

  /** @param parse reads and checks it; throws where it cannot be used */
  constructor(path: string, parse: (path: string) => T) {
    this.#path = path
    this.#parse = parse
  }

  /** @throws whatever `parse` throws, or that the file is not there: an older content is no answer */
  async read(): Promise<T> {
    const { mtimeMs, mtimeNs, ctimeNs, size, ino } = await stat(this.#path, { bigint: true })
    // Clocks of file systems are coarse: two changes within one of their ticks look like one.
    if (Date.now() - Number(mtimeMs) < tickMs) this.#seen = null
    const seen = `${mtimeNs} ${ctimeNs} ${size} ${ino}`
    if (seen !== this.#seen || this.#value === null) {
      this.#seen = seen
      this.#value = this.#tried()
    }
    if (!this.#value.ok) throw this.#value.error
    return this.#value.value
  }

  #tried() {
    try {
      return { ok: true, value: this.#parse(this.#path) } as const
    } catch (error) {
      // Of a file that could not be opened a stat may say tomorrow what it says today.
      this.#seen = null
      return { ok: false, error } as const
    }
  }
}
