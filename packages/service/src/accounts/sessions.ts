import type { Account } from './account.ts'

/** How often live streams are looked through, milliseconds. */
const roundMs = 1000

interface Session {
  readonly account: Account
  readonly end: () => void
}

/** Live streams, each of which ends with the right that it was opened with. Without one, nothing runs. */
export class Sessions {
  readonly #judge: () => Promise<(account: Account) => boolean>
  readonly #sessions = new Set<Session>()
  #timer: NodeJS.Timeout | null = null
  #isLooking = false

  /** @param judge who is believed still; must not throw */
  constructor(judge: () => Promise<(account: Account) => boolean>) {
    this.#judge = judge
  }

  begin(account: Account, end: () => void): Disposable {
    const session = { account, end }
    this.#sessions.add(session)
    this.#timer ??= setInterval(() => void this.look(), roundMs).unref()
    return {
      [Symbol.dispose]: () => {
        this.#sessions.delete(session)
        if (this.#sessions.size === 0) this.close()
      },
    }
  }

  /** Ends what is over. A stream that begins in the meantime is seen by the next round. */
  async look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const mayStay = await this.#judge()
      for (const { account, end } of [...this.#sessions]) if (!mayStay(account)) end()
    } finally {
      this.#isLooking = false
    }
  }

  close(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
  }
}
