import { createReadStream } from 'node:fs'
import type { JournalEntry } from '@pintail/core'
import { parseJournalLine } from '@pintail/core/testing'

export interface JournalFile {
  /** One after the other: an engine that starts anew on an empty store begins again with entry 1. */
  readonly journals: readonly (readonly JournalEntry[])[]
  /** Lines that could not be read, from 1 on. */
  readonly problems: readonly { readonly line: number; readonly problem: string }[]
  /** What was tolerated. */
  readonly notes: readonly string[]
}

/** A line longer than this is no entry: an entry lists at most the residue of one migration. */
const longestLine = 64 * 1024 * 1024

/** Lines end at a line feed only: other separators may stand inside a JSON text. @throws what reading the file throws */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of createReadStream(path, 'utf8')) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > longestLine) throw new Error(`${path} has a line of more than ${longestLine} characters: it is no journal`)
    yield* lines
  }
  if (rest !== '') yield rest
}

/**
 * Reads a journal as lines of JSON. What is written at least once is taken once; the torn line of a crash, after which the
 * same entry stands whole, is no loss.
 */
class Reader {
  readonly journals: JournalEntry[][] = []
  readonly problems: { readonly line: number; readonly problem: string }[] = []
  readonly #known = new Map<number, JournalEntry>()
  #entries: JournalEntry[] = []
  #last = 0
  #line = 0
  #repeated = 0
  /** Lines that are no JSON, since the last entry. */
  #torn: { readonly line: number; readonly problem: string }[] = []
  #tolerated = 0
  #tornAtEnd = false

  take(text: string): void {
    this.#line++
    const line = (this.#line === 1 ? text.replace(/^\uFEFF/, '') : text).trim()
    if (line === '') return
    const read = parseJournalLine(line)
    if (read.ok) {
      if (read.entry) this.#entry(read.entry, read.isLog)
    } else if (read.isTorn) this.#torn.push({ line: this.#line, problem: read.problem })
    else this.problems.push({ line: this.#line, problem: read.problem })
  }

  #entry(entry: JournalEntry, isLog: boolean): void {
    const known = this.#known.get(entry.seq)
    const isSame = known !== undefined && JSON.stringify(known) === JSON.stringify(entry)
    const isNew = known !== undefined && !isSame && entry.seq === 1 && entry.type === 'leader.acquired'
    // Whole again after the torn line, or nothing between the two was to be there.
    if (entry.seq <= this.#last + 1) this.#tolerated += this.#torn.length
    else this.problems.push(...this.#torn)
    this.#torn = []
    if (isSame && isLog) {
      this.#repeated++
      return
    }
    if (isNew || this.journals.length === 0) {
      this.#known.clear()
      this.#entries = []
      this.journals.push(this.#entries)
      this.#last = 0
    }
    this.#entries.push(entry)
    if (known === undefined || isNew) this.#known.set(entry.seq, entry)
    this.#last = Math.max(this.#last, entry.seq)
  }

  end(): JournalFile {
    const last = this.#torn.at(-1)
    if (last && last.line === this.#line) {
      this.#torn.pop()
      this.#tornAtEnd = true
    }
    this.problems.push(...this.#torn)
    if (this.journals.length === 0) this.problems.push({ line: this.#line, problem: 'there is no entry of a journal in this file' })
    const notes: string[] = []
    if (this.#tornAtEnd) notes.push(`line ${this.#line}, the last one, is torn, as after a crash: it is left out`)
    if (this.#tolerated > 0)
      notes.push(`${this.#tolerated} torn line${this.#tolerated === 1 ? ' is' : 's are'} left out; no entry is missing there`)
    if (this.#repeated > 0) notes.push(`${this.#repeated} entries stand in the log again, as they may: it is written at least once`)
    if (this.journals.length > 1)
      notes.push(`this file holds ${this.journals.length} journals: an engine has started anew on an empty store, with entry 1`)
    return { journals: this.journals, problems: this.problems.sort((a, b) => a.line - b.line), notes }
  }
}

/** @throws what reading the file throws */
export async function readJournalFile(path: string): Promise<JournalFile> {
  const reader = new Reader()
  for await (const line of linesOf(path)) reader.take(line)
  return reader.end()
}
