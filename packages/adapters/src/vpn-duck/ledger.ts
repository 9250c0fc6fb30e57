import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorText, PintailError } from '@pintail/core'
import type { Seen } from './rows.ts'

/** The last word that was given about a user. */
export interface OwnWord {
  readonly from: string
  readonly to: string
  /** His newest row of active_connections at that time, by time and id; infinite: none, or any. */
  readonly seen: Seen
  /** Milliseconds since 1970. */
  readonly at: number
  /** False: the call had no answer, so that nobody knows whether it counts. */
  readonly isAnswered: boolean
}

/** Where the words about users outlive the process: `fileLedger(path)`, or the host's own. Both calls are synchronous. */
export interface MoveLedger {
  /** Every user's last word, oldest first. */
  read(): Iterable<readonly [user: number, word: OwnWord]>
  /** Returns when it is kept. @throws whatever keeps it from that: then the move is not made */
  write(user: number, word: OwnWord): void
}

/** A word older than this says nothing any more, milliseconds: others have moved the user since, or he has connected. */
const keptForMs = 86_400_000
/** Lines that may be written before the file is made anew. */
const mostLines = 20_000

/**
 * A file with a line for each word: written before a move and after it, so that a process that was killed in the middle
 * knows at its next start whom it has moved, and of whom it does not know. Torn and strange lines are left out. It holds
 * ids of users and servers, is readable by its owner only, and is made anew, with the words of the last 24 hours, at each
 * start and whenever it has grown. One process a file.
 * A word reaches the operating system, not the disk: it outlives the process, and not always the machine.
 * @param path its folder is made if it is not there
 * @param options.now milliseconds since 1970; default `Date.now`
 * @throws PintailError `invalid_options` if the file cannot be written
 */
export function fileLedger(path: string, { now = Date.now }: { readonly now?: () => number } = {}): MoveLedger {
  const words = new Map<number, OwnWord>()
  let lines = 0
  const take = (user: number, word: OwnWord): void => {
    // The newest of a user is the last, so that the order is the order of last words.
    words.delete(user)
    words.set(user, word)
  }
  const renew = (): void => {
    for (const [user, { at }] of words) if (at <= now() - keptForMs) words.delete(user)
    // A crash in the middle of this leaves the old file.
    writeFileSync(`${path}.new`, [...words].map(lineOf).join(''), { mode: 0o600 })
    renameSync(`${path}.new`, path)
    lines = 0
  }
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    for (const line of linesOf(path)) {
      const found = parse(line)
      if (found) take(...found)
    }
    renew()
  } catch (error) {
    throw new PintailError('invalid_options', `the ledger ${path} cannot be kept: ${errorText(error)}`, {
      cause: error,
      remedy: 'Name a file in a folder that this process may write to.',
    })
  }
  return {
    read: () => words,
    write(user, word) {
      appendFileSync(path, lineOf([user, word]), { mode: 0o600 })
      take(user, word)
      if (++lines > Math.max(mostLines, words.size)) renew()
    },
  }
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** JSON has no infinity, which stands for "no row" and "every row". */
const lineOf = ([user, { seen, ...word }]: readonly [number, OwnWord]): string =>
  `${JSON.stringify({ user, ...word, seen: [String(seen.connectedAt), String(seen.rowId)] })}\n`

function parse(line: string): [number, OwnWord] | null {
  try {
    const { user, from, to, at, isAnswered, seen } = JSON.parse(line)
    const [connectedAt, rowId] = [Number(seen[0]), Number(seen[1])]
    const isSound =
      Number.isSafeInteger(user) &&
      typeof from === 'string' &&
      typeof to === 'string' &&
      Number.isFinite(at) &&
      typeof isAnswered === 'boolean' &&
      !Number.isNaN(connectedAt) &&
      !Number.isNaN(rowId)
    return isSound ? [user, { from, to, at, isAnswered, seen: { connectedAt, rowId } }] : null
  } catch {
    return null
  }
}
