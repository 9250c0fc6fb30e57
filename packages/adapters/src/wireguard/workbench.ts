/**
 * Does jobs one at a time, and lets the event loop go on after each. A handshake costs several hundred microseconds of
 * curve arithmetic: a hundred at once would make the answers to all of them look late.
 */
export class Workbench {
  readonly #jobs: (() => void)[] = []

  do(job: () => void): void {
    if (this.#jobs.push(job) === 1) setImmediate(this.#next)
  }

  readonly #next = (): void => {
    try {
      this.#jobs[0]?.()
    } finally {
      this.#jobs.shift()
      if (this.#jobs.length > 0) setImmediate(this.#next)
    }
  }
}
