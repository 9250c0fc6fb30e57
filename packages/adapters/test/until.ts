/** Resolves as soon as it is so. The bound is for what hangs: however slow the machine is, it comes in time. */
export async function until(what: string, holds: () => unknown, boundMs = 50_000): Promise<void> {
  const begun = performance.now()
  while (!(await holds())) {
    if (performance.now() - begun > boundMs) throw new Error(`not so within ${boundMs / 1000} s: ${what}`)
    await new Promise((resolve) => realTimeout(resolve, 5))
  }
}

/** Also where a test turns the time of the code that it tests. */
const realTimeout = globalThis.setTimeout
