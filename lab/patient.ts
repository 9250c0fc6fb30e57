/** For a check that is answered: it ends with the answer, and however long the machine stood still before somebody read it, it counts. */
export const patient = { timeoutMs: 20_000 } as const
/** Of a poll: it is for what hangs, never a measure of speed. */
export const patiently = { timeout: 60_000 } as const

/**
 * Looks again until what is seen is wanted, as what a machine that stands still keeps from a look is not seen. `always` holds of every look.
 * @returns the last one, wanted or not, for an assertion
 */
export async function lookUntil<T>(
  look: () => Promise<T>,
  isWanted: (seen: T) => boolean,
  always: (seen: T) => void = () => {},
): Promise<T> {
  for (const end = performance.now() + patiently.timeout; ; ) {
    const seen = await look()
    always(seen)
    if (isWanted(seen) || performance.now() > end) return seen
  }
}
