import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jsonlLog } from '@pintail/adapters/jsonl'
import type { JournalEntry } from '@pintail/core'
import { type History, historyOf, judgeJournal, simulate } from '@pintail/core/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { compareRuns } from './compare.ts'
import { deriveHistory } from './derive.ts'
import { readJournalFile } from './journalFile.ts'
import { cleanOutage, crashInTheMiddle, drainWithFailures, type Recording, wordsOfAnOperator } from './recordings.ts'
import { tellStory } from './story.ts'
import { traceJournal } from './trace.ts'

let folder = ''
let path = ''
let printed = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-trace-'))
  path = join(folder, 'night.jsonl')
  printed = ''
  const print = (...parts: unknown[]): void => {
    printed += `${parts.join(' ')}\n`
  }
  vi.spyOn(console, 'log').mockImplementation(print)
  vi.spyOn(console, 'error').mockImplementation(print)
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(folder, { recursive: true, force: true })
})

const linesOf = (entries: readonly object[]): string => entries.map((entry) => `${JSON.stringify(entry)}\n`).join('')
const named = (user: string): boolean => !user.startsWith('unnamed-')
const trace = (more: Partial<Parameters<typeof traceJournal>[0]> = {}): Promise<number> =>
  traceJournal({ journal: path, policy: null, servers: null, replay: true, folder, ...more })

const recordings = { 'a clean outage': cleanOutage, 'a drain with failures': drainWithFailures, 'a crash in the middle': crashInTheMiddle }

// ------------------------------------------------------------------------------------------------------------- the file

test('the file that the jsonl adapter writes holds the journal of the store, entry for entry', async () => {
  const { entries, log } = await cleanOutage()
  await using sink = jsonlLog(path)
  for (const entry of log) await sink.write(entry, { signal: new AbortController().signal })
  const { journals, problems, notes } = await readJournalFile(path)
  expect([problems, notes]).toEqual([[], []])
  // The cursor of the log is kept with entries that tell nothing of their own; the last of them may come after it.
  expect(journals).toEqual([entries.slice(0, journals[0]?.length)])
  expect(journals[0]?.length).toBeGreaterThan(50)
})

test('entries of the store, events and lines of the log are all read', async () => {
  const { entries, log } = await cleanOutage()
  const transient = { seq: 0, type: 'migration.progress', at: 1, data: {} }
  await writeFile(path, linesOf([...entries.slice(0, 10), transient, ...log.slice(10)]))
  expect(await readJournalFile(path)).toMatchObject({ journals: [entries.slice(0, log.length)], problems: [] })
})

test('what the log was given twice is read once; in the journal of a store it is a finding', async () => {
  const { log, entries } = await crashInTheMiddle()
  await writeFile(path, linesOf([...log.slice(0, 30), ...log.slice(20)]))
  const file = await readJournalFile(path)
  expect(file.journals[0]?.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
  expect(file.notes).toEqual([expect.stringContaining('10 entries stand in the log again')])
  await writeFile(path, linesOf([...entries.slice(0, 30), ...entries.slice(20)]))
  expect(judgeJournal((await readJournalFile(path)).journals[0] ?? []).map(({ rule }) => rule)).toContain('journal.order')
})

test('a torn last line is left out with a warning, and everything before it is judged', async () => {
  const { entries } = await cleanOutage()
  await writeFile(path, linesOf(entries).slice(0, -20))
  expect(await trace({ replay: false })).toBe(0)
  expect(printed).toContain(`line ${entries.length}, the last one, is torn`)
})

test('a torn line after which the same entry stands whole is no loss; one after which it does not is a bad line', async () => {
  const { entries } = await cleanOutage()
  const lines = linesOf(entries).split('\n')
  await writeFile(path, [...lines.slice(0, 5), '{"seq":6,"at"', ...lines.slice(5)].join('\n'))
  expect(await trace({ replay: false })).toBe(0)
  await writeFile(path, [...lines.slice(0, 5), '{"seq":6,"at"', ...lines.slice(6)].join('\n'))
  expect(await trace({ replay: false })).toBe(2)
  expect(printed).toContain('✗ line 6: it is no JSON')
})

test('each bad line is named with what is wrong, the rest is read, and the status is 2', async () => {
  const { entries } = await cleanOutage()
  const lines = linesOf(entries).trim().split('\n')
  lines[3] = '[]'
  lines[7] = '{"hello":"world"}'
  lines[9] = JSON.stringify({ ...entries[9], at: 'yesterday' })
  lines[11] = '{"id":"journal-x","at":1}'
  await writeFile(path, lines.join('\n'))
  expect(await trace({ replay: false })).toBe(2)
  for (const text of [
    'line 4: it is no JSON object',
    'line 8: it has neither a seq nor an id',
    'line 10: its at is no time',
    'line 12: its id is not journal-<number>',
  ])
    expect(printed).toContain(text)
  expect(printed).toContain('RECOVERED')
})

test('a file that is not there, an empty one and one of something else end with status 2', async () => {
  expect(await trace()).toBe(2)
  expect(printed).toContain('ENOENT')
  await writeFile(path, '')
  expect(await trace()).toBe(2)
  expect(printed).toContain('there is no entry of a journal')
  await writeFile(path, 'Jan  1 00:00:01 host kernel: oops\n'.repeat(100))
  expect(await trace()).toBe(2)
  expect(printed).toContain('and 60 more')
})

test('an engine that starts anew on an empty store begins another journal in the same file', async () => {
  const [one, two] = [await cleanOutage(), await drainWithFailures()]
  await writeFile(path, linesOf([...one.log, ...two.log.map((entry) => ({ ...entry, at: entry.at + 3_600_000 }))]))
  const { journals, notes } = await readJournalFile(path)
  expect(journals.map(({ length }) => length)).toEqual([one.log.length, two.log.length])
  expect(notes).toEqual([expect.stringContaining('2 journals')])
  expect(journals.flatMap((entries) => judgeJournal(entries))).toEqual([])
})

// ----------------------------------------------------------------------------------------------------------- the judging

test('a broken rule is printed with its invariant and its entry, and the status is 1', async () => {
  const { entries } = await cleanOutage()
  const gone = entries.findIndex(({ type }) => type === 'connection.moved')
  await writeFile(path, linesOf(entries.filter((_, index) => index !== gone)))
  expect(await trace({ replay: false })).toBe(1)
  expect(printed).toMatch(new RegExp(`✗ I4 journal.order, entry ${gone + 2} at 2026-01-01T.*entry ${gone + 1} is missing`))
})

test('the story has each outage, who was moved and how it ended, in few lines', async () => {
  const { entries } = await cleanOutage()
  const story = tellStory(entries)
  expect(story.length).toBeLessThan(entries.length / 2)
  for (const text of [
    'servers are known: s1, s2, s3, s4, s5',
    'INCIDENT: s1',
    'evacuation running: s1 (10 users)',
    'completed: the evacuation of s1 (10 moved, 0 left)',
    'RECOVERED, status restored: s1',
  ])
    expect(story.join('\n')).toContain(text)
  const moved = story.flatMap((line) => /→ s\d: (\d+) moved/.exec(line)?.[1] ?? [])
  expect(moved.reduce((sum, many) => sum + Number(many), 0)).toBe(10)
})

test('the story names intents that have no outcome, and is bounded', async () => {
  const { entries } = await crashInTheMiddle()
  const second = entries.findLastIndex(({ type }) => type === 'leader.acquired')
  expect(tellStory(entries.slice(0, second)).at(-1)).toContain('no outcome is recorded of moves s1 →')
  expect(tellStory(entries).join('\n')).not.toContain('no outcome is recorded')
  const many = Array.from({ length: 5000 }, (_, index): JournalEntry => ({ seq: index + 1, at: index, type: `new.${index}`, data: {} }))
  expect(tellStory(many)).toHaveLength(601)
})

// ------------------------------------------------------------------------------------------------------------ the replay

for (const [name, recorded] of Object.entries(recordings))
  test(`the current engine does the same in the night of ${name}`, async () => {
    const { entries } = await recorded()
    await writeFile(path, linesOf(entries))
    expect(await trace()).toBe(0)
    const summary = JSON.parse(printed.trim().split('\n').at(-1) ?? '')
    expect(summary).toEqual({ entries: entries.length, bad_lines: 0, findings: 0, violations: 0, differences: 0 })
    expect(printed).toMatch(/ 1 evacuation, 10 named users compared, 0 differences/)
  })

const actsOf = ({ entries }: Recording): string[] => deriveHistory(entries).history.script?.acts.map((act) => act.do) ?? []

test('what operators have said is in the script, in its order, and is said again', async () => {
  const recording = await wordsOfAnOperator()
  expect(actsOf(recording)).toEqual([
    'operator.cordons',
    'server.dies',
    'operator.acknowledges',
    'operator.overrides_the_guard',
    'operator.pauses',
    'operator.approves',
    'operator.resumes',
    'operator.uncordons',
    'operator.requests',
    'operator.requests',
    'operator.schedules',
    'operator.requests',
    'operator.cancels',
    'operator.pauses',
  ])
  const { history } = deriveHistory(recording.entries)
  const { journal, refused, violations } = await simulate(history)
  expect([refused, violations]).toEqual([[], []])
  expect(compareRuns(recording.entries, journal, named).differences).toEqual([])
})

test('an engine that did not move is told from one that does', async () => {
  const { entries } = await cleanOutage()
  // As if it had only looked: nothing after the incident was opened.
  const opened = entries.findIndex(({ type }) => type === 'incident.opened')
  const idle = entries.filter(({ type }, index) => index <= opened || /^(server\.verdict_changed|incident\.)/.test(type))
  const { history } = deriveHistory(idle.map((entry, index) => ({ ...entry, seq: index + 1 })))
  const { journal } = await simulate(history)
  expect(compareRuns(idle, journal, named).differences).toContainEqual({
    what: 'evacuation of s1',
    recorded: 'none',
    replayed: 'server-down, completed',
  })
})

test('who was not moved, and when the others were, stands in the table', async () => {
  const { entries } = await cleanOutage()
  const { history } = deriveHistory(entries)
  const slow: History = {
    ...history,
    setup: {
      ...history.setup,
      policy: { mode: 'auto', migration: { concurrency: 1 } },
      panel: { ...history.setup.panel, latencyMs: 9000 },
    },
  }
  const failures = ['s2', 's3', 's4', 's5'].map((to) => ({ user: 's1-c1', to, calls: 9, how: 'rejected' as const, isGivenUp: true }))
  const { journal } = await simulate({ ...slow, script: { acts: [], endsMs: 0, ...history.script, failures } })
  const { differences } = compareRuns(entries, journal, named)
  expect(differences).toContainEqual({
    what: 'user s1-c1 off s1',
    recorded: expect.stringMatching(/^moved to s\d after \d+\.\d s$/),
    replayed: 'not moved',
  })
  expect(differences.map(({ what }) => what)).toContain('evacuation of s1: the last one was moved after')
})

test('the history that is written down is the replay, and plain JSON', async () => {
  const { entries } = await crashInTheMiddle()
  await writeFile(path, linesOf(entries))
  await trace()
  const written = JSON.parse(await readFile(join(folder, 'night.history.json'), 'utf8')) as History
  const again = deriveHistory(entries).history
  expect(written).toEqual(JSON.parse(JSON.stringify(again)))
  expect((await simulate(written)).journal).toEqual((await simulate(again)).journal)
})

test('what the journal does not hold is named, and can be given', async () => {
  const { entries } = await cleanOutage()
  await writeFile(path, linesOf(entries))
  await trace()
  for (const text of [
    'policy: the journal does not hold it',
    'capacity of s1, s2, s3, s4, s5: not in the journal',
    'panel: not in the journal',
  ])
    expect(printed).toContain(text)
  printed = ''
  const [policy, servers] = [join(folder, 'policy.json'), join(folder, 'servers.json')]
  await writeFile(policy, JSON.stringify({ mode: 'suggest' }))
  await writeFile(servers, JSON.stringify(['s1', 's2', 's3', 's4', 's5'].map((id) => ({ id, host: 'x.example', capacity: 100 }))))
  expect(await trace({ policy, servers })).toBe(0)
  expect(printed).not.toContain('policy: the journal does not hold it')
  expect(printed).not.toContain('capacity of')
  expect(printed).toMatch(/evacuation of s1: users +10 moved +0 moved/)
})

test('a policy or a server list that is none is refused before anything is read', async () => {
  const { entries } = await cleanOutage()
  await writeFile(path, linesOf(entries))
  const file = join(folder, 'wrong.json')
  await writeFile(file, '[1]')
  expect(await trace({ policy: file })).toBe(2)
  expect(await trace({ servers: file })).toBe(2)
  await writeFile(file, '{"mode":"sometimes"}')
  expect(await trace({ policy: file })).toBe(2)
  expect(printed).toContain('policy.mode')
  expect(printed).not.toContain('INCIDENT')
})

for (const seed of [3, 67, 142, 259, 401])
  test(`a recorded world of faults is replayed without breaking a rule (seed ${seed})`, async () => {
    const { journal } = await simulate(historyOf(seed))
    const { history, assumptions } = deriveHistory(journal)
    const replayed = await simulate(history)
    expect(replayed.violations).toEqual([])
    expect(judgeJournal(replayed.journal)).toEqual([])
    expect(assumptions.length).toBeGreaterThan(2)
  })

test('a journal that begins in the middle is replayed from there on, and says so', async () => {
  const { entries } = await cleanOutage()
  const from = entries.findIndex(
    ({ type, data }) => type === 'server.verdict_changed' && (data as { verdict: string }).verdict === 'suspect',
  )
  const { history, assumptions } = deriveHistory(entries.slice(from))
  expect(assumptions[0]).toContain(`the journal begins with entry ${from + 1}`)
  const { journal } = await simulate(history)
  expect(journal.filter(({ type }) => type === 'connection.moved')).toHaveLength(10)
})
