/** What has to be closed, the newest first. A failure of one keeps none of the others open. */
export class Closers implements AsyncDisposable {
  readonly #all: (() => unknown)[] = []

  add(close: () => unknown): void {
    this.#all.push(close)
  }

  /** Takes something that can be disposed of, and hands it back. */
  own<T extends AsyncDisposable>(one: T): T {
    this.add(() => one[Symbol.asyncDispose]())
    return one
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = []
    for (const close of this.#all.splice(0).reverse())
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    if (failures.length > 0) throw failures[0]
  }
}
