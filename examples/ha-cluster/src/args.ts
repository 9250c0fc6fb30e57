export interface Args {
  /** Kills piece after piece, compares in the end, and ends. */
  readonly isKill: boolean
  /** Fewer kills. */
  readonly isShort: boolean
  /** Users altogether. */
  readonly users: number
}

export const usage = `Usage: npm run ha-cluster [-- --kill] [--short] [--users N]

  --kill     kills one piece after another while users are there, and says in its last line what was lost
  --short    with --kill: leaves out the leader, which takes a minute to be succeeded
  --users N  how many users there are, 3 to 3000 (default 300)
`

/** Null: it is not understood. */
export function parseArgs(argv: readonly string[]): Args | null {
  let users = 300
  const rest = [...argv]
  const flags = new Set<string>()
  while (rest.length > 0) {
    const flag = rest.shift()
    if (flag === '--users') users = Number(rest.shift())
    else if (flag === '--kill' || flag === '--short') flags.add(flag)
    else return null
  }
  const isFine = Number.isInteger(users) && users >= 3 && users <= 3000 && (flags.has('--kill') || !flags.has('--short'))
  return isFine ? { isKill: flags.has('--kill'), isShort: flags.has('--short'), users } : null
}
