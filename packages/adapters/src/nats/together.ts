import type { Clock } from '@pintail/core'

/**
 * Runs what is given in one turn of the event loop together, in its order. The client of NATS writes to its socket once for what is
 * published without a pause: a hundred answers so cost about what one does.
 *
 * @returns resolves when it has run; rejects with what it threw
 */
export function together(clock: Clock): (work: () => void) => Promise<void> {
  const defer = clock.defer ?? ((callback: () => void): void => void setImmediate(callback))
  let waiting: { readonly work: () => void; readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = []
  const run = (): void => {
    const all = waiting
    waiting = []
    for (const { work, resolve, reject } of all) {
      try {
        work()
        resolve()
      } catch (error) {
        reject(error)
      }
    }
  }
  return (work) =>
    new Promise((resolve, reject) => {
      waiting.push({ work, resolve, reject })
      if (waiting.length === 1) defer(run)
    })
}
