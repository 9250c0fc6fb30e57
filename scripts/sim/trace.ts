import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { JournalEntry, PolicyInput, ServerInput } from '@pintail/core'
import { errorText } from '@pintail/core'
import { type Finding, judgeJournal, type SimResult, simulate, traceRules } from '@pintail/core/testing'
import { type Comparison, compareRuns } from './compare.ts'
import { type Derived, deriveHistory } from './derive.ts'
import { resolved } from './derivePolicy.ts'
import { unnamedUser } from './deriveUsers.ts'
import { type JournalFile, readJournalFile } from './journalFile.ts'
import { tellStory } from './story.ts'

export interface TraceOptions {
  readonly journal: string
  /** JSON: the policy that was in force. */
  readonly policy: string | null
  /** JSON: a list of rows as the registry tells them. */
  readonly servers: string | null
  /** Whether what was recorded is run again, and not only judged. */
  readonly replay: boolean
  /** Where the derived history is written. */
  readonly folder: string
}

/** So many of a kind are printed; the rest is counted. */
const mostShown = 40

const count = (many: number, what: string): string => `${many} ${what}${many === 1 ? '' : 's'}`

function show<T>(items: readonly T[], line: (item: T) => string): void {
  for (const item of items.slice(0, mostShown)) console.log(line(item))
  if (items.length > mostShown) console.log(`  … and ${items.length - mostShown} more`)
}

const time = (at: number): string => new Date(at).toISOString()

function showFile(path: string, { journals, problems, notes }: JournalFile): void {
  const entries = journals.reduce((sum, { length }) => sum + length, 0)
  const [first, last] = [journals[0]?.[0], journals.at(-1)?.at(-1)]
  console.log(`${path}: ${entries} ${entries === 1 ? 'entry' : 'entries'}${first && last ? `, ${time(first.at)} to ${time(last.at)}` : ''}`)
  for (const note of notes) console.log(`  note: ${note}`)
  show(problems, ({ line, problem }) => `✗ line ${line}: ${problem}`)
}

function showFindings(findings: readonly Finding[]): void {
  show(findings, ({ rule, invariant, seq, at, message }) => `✗ ${invariant} ${rule}, entry ${seq} at ${time(at)}: ${message}`)
  for (const rule of new Set(findings.map((finding) => finding.rule))) console.log(`  ${rule}: ${traceRules[rule][1]}`)
}

function table({ differences }: Comparison): string[] {
  const rows = [['', 'recorded', 'replayed'], ...differences.map(({ what, recorded, replayed }) => [what, recorded, replayed])]
  const wide = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    `  ${row.map((cell, column) => (column < 2 ? cell.padEnd(wide[column] as number) : cell)).join('   ')}`.trimEnd(),
  )
}

async function replay(
  entries: readonly JournalEntry[],
  derived: Derived,
  file: string,
): Promise<{ result: SimResult; comparison: Comparison }> {
  console.log('\nWhat the journal does not hold is assumed:')
  for (const assumption of derived.assumptions) console.log(`  - ${assumption}`)
  const minutes = Math.round((derived.history.script?.endsMs ?? 0) / 60_000)
  process.stderr.write(`replaying ${count(minutes, 'minute')} …\n`)
  const result = await simulate(derived.history)
  writeFileSync(file, `${JSON.stringify(derived.history, null, 1)}\n`)
  const comparison = compareRuns(entries, result.journal, (user) => !user.startsWith(unnamedUser))
  const { compared, differences } = comparison
  console.log(
    `\nThe current engine in the same night: ${count(compared.incidents, 'incident')}, ${count(compared.evacuations, 'evacuation')}, ${count(compared.users, 'named user')} compared, ${count(differences.length, 'difference')}`,
  )
  if (differences.length > 0) for (const line of table(comparison)) console.log(line)
  show(result.refused, ({ at, act, why }) => `  at ${(at / 1000).toFixed(1)} s nobody did ${act.do}: ${why}`)
  show(result.violations, ({ invariant, at, message }) => `✗ in the replay, ${invariant} at ${(at / 1000).toFixed(1)} s: ${message}`)
  console.log(`  see it: npm run sim -- --history ${file}`)
  return { result, comparison }
}

/** Hands in a file of JSON. @throws Error naming the file and what is wrong */
function readJson(path: string, isRight: (value: unknown) => boolean, what: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new Error(`${path} cannot be read: ${errorText(error)}`, { cause: error })
  }
  if (!isRight(value)) throw new Error(`${path} must hold ${what}`)
  return value
}

/** @throws Error if it is none that an engine takes */
function readPolicy(path: string): PolicyInput {
  const policy = readJson(path, isObject, 'a policy: an object') as PolicyInput
  resolved(policy)
  return policy
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)
const isRows = (value: unknown): boolean => Array.isArray(value) && value.every((row) => isObject(row) && 'id' in row)

/** Judges a recorded journal and runs it again. Exit status: 0 nothing is broken, 1 a rule is, 2 something could not be read. */
export async function traceJournal({ journal, policy, servers, replay: replays, folder }: TraceOptions): Promise<number> {
  let file: JournalFile
  let known: { readonly policy: PolicyInput | null; readonly servers: readonly ServerInput[] | null }
  try {
    known = {
      policy: policy === null ? null : readPolicy(policy),
      servers: servers === null ? null : (readJson(servers, isRows, 'a list of server rows, each with an id') as ServerInput[]),
    }
    file = await readJournalFile(journal)
  } catch (error) {
    console.error(errorText(error))
    return 2
  }
  showFile(journal, file)
  const findings: Finding[] = []
  let [violations, differences] = [0, 0]
  for (const [index, entries] of file.journals.entries()) {
    const part = file.journals.length > 1 ? `-${index + 1}` : ''
    console.log(`\n${tellStory(entries).join('\n')}\n`)
    const found = judgeJournal(entries)
    if (found.length === 0) console.log('✓ no rule is broken, as far as a journal shows it')
    showFindings(found)
    findings.push(...found)
    if (!replays) continue
    mkdirSync(folder, { recursive: true })
    const written = join(folder, `${basename(journal).replace(/\.jsonl?$/, '')}${part}.history.json`)
    try {
      const { result, comparison } = await replay(entries, deriveHistory(entries, known), written)
      violations += result.violations.length
      differences += comparison.differences.length
    } catch (error) {
      console.error(`it cannot be replayed: ${errorText(error)}`)
      return 2
    }
  }
  const entries = file.journals.reduce((sum, { length }) => sum + length, 0)
  const replayed = replays ? { violations, differences } : {}
  console.log(JSON.stringify({ entries, bad_lines: file.problems.length, findings: findings.length, ...replayed }))
  if (file.problems.length > 0) return 2
  return findings.length + violations > 0 ? 1 : 0
}
