/** What of the browser a session uses; tests give their own, and what is missing is done without. */
export interface Environment {
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly setTimeout: (callback: () => void, delayMs: number) => { cancel(): void }
  readonly random: () => number
  /** Null: never hidden, as outside of a page. */
  readonly page: PageEvents | null
  /** Null: no stream is shared. */
  readonly locks: LockManager | null
  readonly openChannel: ((name: string) => BroadcastChannel) | null
}

/** Where a page tells that it is hidden, and a machine that its network is back. */
export interface PageEvents {
  readonly isHidden: () => boolean
  readonly onChange: (listener: () => void) => { cancel(): void }
  readonly onOnline: (listener: () => void) => { cancel(): void }
}

function listen(target: EventTarget, type: string, listener: () => void): { cancel(): void } {
  target.addEventListener(type, listener)
  return { cancel: () => target.removeEventListener(type, listener) }
}

export function browserEnvironment(): Environment {
  const { document, navigator, BroadcastChannel: Channel } = globalThis as Partial<typeof globalThis>
  return {
    now: () => Date.now(),
    setTimeout(callback, delayMs) {
      const timer = setTimeout(callback, delayMs)
      return { cancel: () => clearTimeout(timer) }
    },
    random: Math.random,
    page: document
      ? {
          isHidden: () => document.visibilityState === 'hidden',
          onChange: (listener) => listen(document, 'visibilitychange', listener),
          onOnline: (listener) => listen(globalThis as unknown as EventTarget, 'online', listener),
        }
      : null,
    locks: navigator?.locks ?? null,
    openChannel: Channel ? (name) => new Channel(name) : null,
  }
}
