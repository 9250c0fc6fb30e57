/**
 * Engines that are broken on purpose: a simulator that catches nothing proves nothing. Each replaces one piece of the
 * source while it is loaded; a piece that is not there exactly once is an error, so that no mutant goes stale unseen.
 */
export interface Mutant {
  readonly name: string
  /** What is broken, in words. */
  readonly breaks: string
  /** Relative to `packages/core/src`. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

export const mutants: readonly Mutant[] = []

/** The source with the mutant in it. @throws Error if the piece is not there exactly once */
export function mutate(source: string, mutant: Mutant): string {
  const pieces = source.split(mutant.find)
  if (pieces.length !== 2) throw new Error(`mutant ${mutant.name}: its piece is ${pieces.length - 1} times in ${mutant.file}, not once`)
  return pieces.join(mutant.replace)
}
