import { expect, test } from 'vitest'
import { PintailError } from '../../errors.ts'
import type { ConnectionMover, JournalEntry } from '../../ports.ts'
import { createFleet, type Fleet } from '../fleet.ts'
import { seededRandom } from '../random.ts'
import { historyOf, simulate } from '../sim/index.ts'
import { judgeJournal, type TraceRule, traceRules } from './index.ts'

const ctx = { signal: new AbortController().signal }
const journalOf = async ({ store }: Fleet): Promise<readonly JournalEntry[]> =>
  (await store.readJournal({ after: 0, limit: 1_000_000 }, ctx)).entries

/** A server dies with its ten users, is evacuated, and comes back. */
async function cleanOutage(): Promise<readonly JournalEntry[]> {
  const fleet = await createFleet({ servers: 5 })
  await fleet.advance(10_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  fleet.revive('s1')
  await fleet.advance(60_000)
  await fleet.stop()
  return journalOf(fleet)
}

/** One user is refused for good, and two fail for the time being until they are planned anew. */
async function drainWithFailures(): Promise<readonly JournalEntry[]> {
  const failures: Record<string, number> = { 's2-c5': 3, 's2-c6': 6 }
  const fleet = await createFleet({
    servers: 4,
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          if (move.connection.id === 's2-c3') throw new PintailError('rejected', 'no such plan')
          failures[move.connection.id] = (failures[move.connection.id] ?? 0) - 1
          if ((failures[move.connection.id] ?? 0) >= 0) throw new Error('socket hang up')
          return (mover as ConnectionMover).move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(10_000)
  const drained = fleet.pintail.drain('s2')
  await fleet.advance(180_000)
  await drained
  await fleet.stop()
  return journalOf(fleet)
}

/** The engine is killed while half of the users are under way, and another one goes on when the lease has run out. */
async function crashInTheMiddle(): Promise<readonly JournalEntry[]> {
  const fleet = await createFleet({
    servers: 4,
    policy: { mode: 'auto', migration: { concurrency: 2 } },
    replace: ({ mover, clock }) => ({
      mover: {
        ...mover,
        move: async (move, ctx) => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 500))
          return (mover as ConnectionMover).move(move, ctx)
        },
      },
    }),
  })
  await fleet.advance(10_000)
  fleet.kill('s1')
  for (let waited = 0; waited < 600 && !fleet.events.some(({ type }) => type === 'connection.moved'); waited++) await fleet.advance(100)
  const next = await fleet.crash()
  await next.advance(180_000)
  await next.stop()
  return journalOf(next)
}

const recordings = { 'a clean outage': cleanOutage, 'a drain with failures': drainWithFailures, 'a crash in the middle': crashInTheMiddle }

const rulesOf = (entries: readonly JournalEntry[]): TraceRule[] => [...new Set(judgeJournal(entries).map(({ rule }) => rule))]
const renumbered = (entries: readonly JournalEntry[]): JournalEntry[] => entries.map((entry, index) => ({ ...entry, seq: index + 1 }))
const fieldsOf = ({ data }: JournalEntry) => data as Readonly<Record<string, unknown>>
const at = (entries: readonly JournalEntry[], type: string, nth = 0): number => {
  const found = entries.flatMap((entry, index) => (entry.type === type ? index : []))[nth]
  if (found === undefined) throw new Error(`this journal has no ${type}`)
  return found
}
const without = (entries: readonly JournalEntry[], index: number): JournalEntry[] => entries.filter((_, other) => other !== index)
const changed = (entries: readonly JournalEntry[], index: number, data: object): JournalEntry[] =>
  entries.map((entry, other) => (other === index ? { ...entry, data: { ...entry.data, ...data } } : entry))
const inserted = (entries: readonly JournalEntry[], index: number, type: string, data: object): JournalEntry[] => {
  const near = entries[Math.min(index, entries.length - 1)] as JournalEntry
  return renumbered([...entries.slice(0, index), { seq: 0, at: near.at + 0.5, type, data }, ...entries.slice(index)])
}
const swapped = (entries: readonly JournalEntry[], a: number, b: number): JournalEntry[] =>
  entries.map((entry, index) => (index === a ? (entries[b] as JournalEntry) : index === b ? (entries[a] as JournalEntry) : entry))

for (const [name, record] of Object.entries(recordings))
  test(`the journal of ${name} breaks no rule`, async () => {
    const entries = await record()
    expect(entries.filter(({ type }) => type === 'connection.moved').length).toBeGreaterThanOrEqual(9)
    expect(judgeJournal(entries)).toEqual([])
  })

test('the recordings hold what they are named for', async () => {
  const drain = await drainWithFailures()
  const failed = drain.filter(({ type }) => type === 'connection.move_failed').map(fieldsOf)
  expect(failed.some(({ permanent }) => permanent === true) && failed.some(({ permanent }) => permanent === false)).toBe(true)
  const crash = await crashInTheMiddle()
  expect(crash.filter(({ type }) => type === 'leader.acquired').map((entry) => fieldsOf(entry).token)).toEqual([1, 2])
  const second = at(crash, 'leader.acquired', 1)
  const started = new Set(crash.slice(0, second).flatMap((entry) => (entry.type === 'move.started' ? fieldsOf(entry).key : [])))
  for (const entry of crash.slice(0, second)) if (entry.type === 'connection.moved') started.delete(fieldsOf(entry).key)
  expect(started.size).toBeGreaterThan(0)
})

for (const seed of [3, 67, 142, 259, 401])
  test(`the journal of a simulated world breaks no rule (seed ${seed})`, async () => {
    const { journal, moves } = await simulate(historyOf(seed))
    expect(moves).toBeGreaterThan(0)
    expect(judgeJournal(journal)).toEqual([])
  })

test('an entry that is missing is named, with what is judged from there on', async () => {
  const entries = await cleanOutage()
  const index = at(entries, 'connection.moved', 2)
  const findings = judgeJournal(without(entries, index))
  expect(findings).toMatchObject([{ rule: 'journal.order', invariant: 'I4', seq: (entries[index] as JournalEntry).seq + 1 }])
  expect(findings[0]?.message).toContain(`entry ${(entries[index] as JournalEntry).seq} is missing`)
})

test('whatever single entry is missing, that is the one finding: nothing is made up about what it said', async () => {
  for (const record of Object.values(recordings)) {
    const entries = await record()
    for (let index = 1; index < entries.length - 1; index++) expect(rulesOf(without(entries, index))).toEqual(['journal.order'])
  }
})

test('an entry that stands twice is named, with its number and with another one', async () => {
  const entries = await cleanOutage()
  const index = at(entries, 'connection.moved', 1)
  const twice = [...entries.slice(0, index + 1), entries[index] as JournalEntry, ...entries.slice(index + 1)]
  expect(judgeJournal(twice)).toMatchObject([{ rule: 'journal.order', seq: (entries[index] as JournalEntry).seq }])
  expect(rulesOf(renumbered(twice))).toEqual(['journal.twice', 'move.settled'])
})

test('two entries that have changed places are named', async () => {
  const entries = await cleanOutage()
  const [started, moved] = [at(entries, 'move.started'), at(entries, 'connection.moved')]
  expect(rulesOf(swapped(entries, started, moved))).toContain('journal.order')
  expect(rulesOf(renumbered(swapped(entries, started, moved)))).toContain('move.intent')
})

/** Each rule that a broken journal must be noticed by, and how it is broken. Whoever broke it has renumbered the rest. */
const broken: Record<TraceRule, (journals: Record<keyof typeof recordings, readonly JournalEntry[]>) => readonly JournalEntry[]> = {
  'journal.order': ({ 'a clean outage': entries }) => without(entries, 3),
  'journal.twice': ({ 'a clean outage': entries }) => {
    const index = at(entries, 'incident.opened')
    return renumbered([...entries.slice(0, index + 1), entries[index] as JournalEntry, ...entries.slice(index + 1)])
  },
  'leader.token': ({ 'a crash in the middle': entries }) =>
    changed(entries, at(entries, 'leader.acquired', 1), { token: 1, holder: 'late' }),
  'incident.verdict': ({ 'a clean outage': entries }) => renumbered(without(entries, at(entries, 'incident.opened') - 1)),
  'incident.single': ({ 'a clean outage': entries }) => {
    const { at: time, ...opened } = entries[at(entries, 'incident.opened')] as JournalEntry
    return inserted(entries, at(entries, 'decision.made'), opened.type, { ...opened.data, incidentId: 'another' })
  },
  'decision.missing': ({ 'a drain with failures': entries }) => renumbered(without(entries, at(entries, 'decision.made'))),
  'decision.figures': ({ 'a clean outage': entries }) => renumbered(without(entries, at(entries, 'migration.created', 1))),
  'migration.transition': ({ 'a clean outage': entries }) =>
    changed(entries, at(entries, 'migration.status_changed', 1), { newStatus: 'completed' }),
  'migration.figures': ({ 'a clean outage': entries }) => renumbered(without(entries, at(entries, 'connection.moved', 3))),
  'evacuation.end': ({ 'a clean outage': entries }) => {
    const ends = entries.flatMap((entry, index) => (fieldsOf(entry).newStatus === 'completed' ? index : []))
    return renumbered(swapped(entries, at(entries, 'evacuation.completed'), ends.at(-1) as number))
  },
  'move.intent': ({ 'a drain with failures': entries }) => renumbered(without(entries, at(entries, 'move.started'))),
  'move.settled': ({ 'a crash in the middle': entries }) => {
    const moved = at(entries, 'connection.moved')
    return inserted(entries, moved + 1, 'connection.move_failed', {
      ...(entries[moved] as JournalEntry).data,
      permanent: true,
      rolledBack: false,
      error: '',
    }).map((entry) => (entry.type === 'connection.move_failed' ? { ...entry, type: 'connection.moved' } : entry))
  },
  'move.key': ({ 'a drain with failures': entries }) => {
    const index = at(entries, 'move.started', 4)
    return changed(entries, index, { key: `${fieldsOf(entries[index] as JournalEntry).key}1` })
  },
  'move.single': ({ 'a crash in the middle': entries }) => {
    const transferring = entries.flatMap((entry, index) => (fieldsOf(entry).newStatus === 'transferring' ? index : []))
    const [first, second] = transferring.slice(0, 2).map((index) => fieldsOf(entries[index] as JournalEntry).id)
    const started = entries.map(fieldsOf).find(({ fencingToken, migrationId }) => fencingToken === 1 && migrationId === first)
    const other = entries.map(fieldsOf).find(({ id, toServerId }) => id === second && toServerId !== undefined)
    const data = { ...started, migrationId: second, toServerId: other?.toServerId, key: `${second}/${started?.connectionId}/1` }
    return inserted(entries, at(entries, 'leader.acquired', 1), 'move.started', data)
  },
  'move.ends': ({ 'a clean outage': entries }) => changed(entries, at(entries, 'move.started'), { toServerId: 's1' }),
  'move.after_recovery': ({ 'a crash in the middle': entries }) => {
    const { incidentId, serverId } = fieldsOf(entries[at(entries, 'incident.opened')] as JournalEntry)
    return inserted(entries, at(entries, 'move.started', 5), 'incident.recovered', {
      incidentId,
      serverId,
      durationMs: 1,
      statusRestored: true,
      advice: null,
    })
  },
  'move.against_word': ({ 'a clean outage': entries }) =>
    inserted(entries, at(entries, 'move.started', 2), 'pause.set', { scope: { serverId: 's1' }, reason: null, until: null }),
  'target.damped': ({ 'a clean outage': entries }) => {
    const created = entries[at(entries, 'migration.created')] as JournalEntry
    const data = { serverId: fieldsOf(created).toServerId, outagesLastHour: 9, until: created.at + 60_000, message: '' }
    return inserted(entries, at(entries, 'decision.made'), 'server.damped', data)
  },
  'home.once': () =>
    [
      ...goingHome(1, 'e1', 'm1', 's2', 's1', 0),
      ...goingHome(20, 'e2', 'm2', 's1', 's2', 60_000).filter(({ type }) => type !== 'failback.changed'),
      ...goingHome(40, 'e3', 'm3', 's2', 's1', 120_000),
    ].map((entry, index) => ({ ...entry, seq: index + 1 })),
  'revoke.early': ({ 'a clean outage': entries }) => {
    const { connectionId, toServerId } = fieldsOf(entries[at(entries, 'connection.moved')] as JournalEntry)
    return inserted(entries, at(entries, 'evacuation.completed'), 'revoke.settled', { serverId: toServerId, connectionId })
  },
  'residue.listed': () => [
    ...goingHome(1, 'e1', 'm1', 's2', 's1', 0).slice(0, 7),
    { seq: 8, at: 1, type: 'migration.status_changed', data: { id: 'm1', oldStatus: 'transferring', newStatus: 'failed' } },
    { seq: 9, at: 1, type: 'migration.failed', data: { id: 'm1', error: 'x', rollbackSuccess: true, residue: ['u1'] } },
  ],
}

/** One user who goes home, as an engine tells it. */
function goingHome(seq: number, evacuationId: string, id: string, from: string, to: string, time: number): JournalEntry[] {
  const ends = { fromServerId: from, toServerId: to }
  const move = { key: `${id}/u1/1`, migrationId: id, connectionId: 'u1', ...ends }
  const step = (oldStatus: string, newStatus: string) => ({ type: 'migration.status_changed', data: { id, oldStatus, newStatus } })
  const decision = { decisionId: `d-${id}`, incidentId: null, reason: 'failback', mode: 'auto', connections: 1, placed: 1, unplaced: 0 }
  const evacuation = {
    evacuationId,
    incidentId: null,
    fromServerIds: [from],
    status: 'running',
    connections: 1,
    migrations: 1,
    unplaced: 0,
  }
  return [
    { type: 'decision.made', data: decision },
    { type: 'evacuation.created', data: evacuation },
    { type: 'migration.created', data: { id, status: 'scheduled', ...ends, evacuationId, reason: 'failback', connections: 1 } },
    {
      type: 'failback.changed',
      data: { incidentId: 'i1', serverId: to, state: 'running', evacuationId, connections: 1, moved: 0, message: '' },
    },
    step('scheduled', 'preparing'),
    step('preparing', 'transferring'),
    { type: 'move.started', data: { ...move, fencingToken: 1 } },
    { type: 'connection.moved', data: { ...move, reason: 'failback' } },
    step('transferring', 'completing'),
    step('completing', 'completed'),
    { type: 'migration.completed', data: { id, durationSeconds: 1, connectionsMoved: 1, connectionsFailed: 0, success: true } },
    { type: 'evacuation.completed', data: { evacuationId, moved: 1, unplaced: 0, durationMs: 1 } },
  ].map((draft, index) => ({ ...draft, seq: seq + index, at: time + index }))
}

for (const [rule, breakIt] of Object.entries(broken) as [TraceRule, (typeof broken)[TraceRule]][])
  test(`a journal that breaks "${traceRules[rule][1]}" is noticed by ${rule}`, async () => {
    const journals = Object.fromEntries(await Promise.all(Object.entries(recordings).map(async ([name, record]) => [name, await record()])))
    const findings = judgeJournal(breakIt(journals))
    expect(findings.map((finding) => finding.rule)).toContain(rule)
    const found = findings.find((finding) => finding.rule === rule)
    expect(found).toMatchObject({ invariant: traceRules[rule][0], seq: expect.any(Number), at: expect.any(Number) })
  })

test('whichever entry of a move or of a migration is left out, the rest renumbered, it is noticed', async () => {
  for (const record of Object.values(recordings)) {
    const entries = await record()
    for (const [index, { type }] of entries.entries()) {
      if (!/^(decision\.made|migration\.(created|status_changed)|move\.started|connection\.(moved|move_failed))$/.test(type)) continue
      const { key, migrationId } = fieldsOf(entries[index] as JournalEntry)
      const has = (test: (one: JournalEntry) => boolean): boolean => entries.some((one, other) => other !== index && test(one))
      // An intent that was repeated after a crash is there another time.
      if (type === 'move.started' && has((one) => one.type === type && fieldsOf(one).key === key)) continue
      // One that places nobody begins nothing that could miss it.
      if (type === 'decision.made' && fieldsOf(entries[index] as JournalEntry).placed === 0) continue
      // Only a migration that completes says how many have failed.
      const completes = has((one) => one.type === 'migration.completed' && fieldsOf(one).id === migrationId)
      if (type === 'connection.move_failed' && !completes) continue
      expect([type, index, rulesOf(renumbered(without(entries, index))).length > 0]).toEqual([type, index, true])
    }
  }
})

test('whichever entry is repeated with a number of its own, it is noticed, unless it only tells what is so', async () => {
  const entries = await crashInTheMiddle()
  for (const [index, entry] of entries.entries()) {
    const twice = renumbered([...entries.slice(0, index + 1), entry, ...entries.slice(index + 1)])
    const onlyTells = /^(server\.(added|verdict_changed|status_set)|leader\.acquired)$/.test(entry.type)
    const by = entry.type === 'revoke.settled' ? 'revoke.early' : 'journal.twice'
    expect([entry.type, rulesOf(twice).includes(by)]).toEqual([entry.type, !onlyTells])
  }
})

test('a journal that begins anywhere breaks no rule for what came before it', async () => {
  const random = seededRandom(1)
  for (const record of Object.values(recordings)) {
    const entries = await record()
    for (let tries = 0; tries < 40; tries++) {
      const from = Math.floor(random() * entries.length)
      expect([from, judgeJournal(entries.slice(from))]).toEqual([from, []])
    }
  }
})

test('a cordoned target and a cancelled evacuation are words too', async () => {
  const entries = await cleanOutage()
  const index = at(entries, 'move.started', 2)
  const { toServerId } = fieldsOf(entries[index] as JournalEntry)
  const { evacuationId } = fieldsOf(entries[at(entries, 'evacuation.created')] as JournalEntry)
  expect(rulesOf(inserted(entries, index, 'server.cordoned', { serverId: toServerId }))).toEqual(['move.against_word'])
  expect(rulesOf(inserted(entries, index, 'evacuation.cancelled', { evacuationId, moved: 2, why: '' }))).toContain('move.against_word')
})

test('a pause that has ended by its time forbids nothing any more', async () => {
  const entries = await cleanOutage()
  const index = at(entries, 'move.started')
  const until = (entries[index] as JournalEntry).at
  const pause = (end: number) => inserted(entries, index - 1, 'pause.set', { scope: 'all', reason: null, until: end })
  expect(rulesOf(pause(until - 1))).toEqual([])
  expect(rulesOf(pause(until + 1))).toContain('move.against_word')
})

test('what is no entry is refused with its number and what is wrong with it', async () => {
  const entries = await cleanOutage()
  const index = at(entries, 'move.started')
  const bad = changed(entries, index, { fencingToken: 'one' })
  expect(() => judgeJournal(bad)).toThrow(new RegExp(`entry ${index + 1} of the journal.*data.fencingToken must be number`))
  expect(() => judgeJournal([null as never])).toThrow(PintailError)
})

test('findings are bounded, however broken a journal is', async () => {
  const entries = await cleanOutage()
  const moved = entries[at(entries, 'connection.moved')] as JournalEntry
  const many = Array.from({ length: 5000 }, (_, index) => ({ ...moved, seq: index + 1, at: index }))
  expect(judgeJournal(many)).toHaveLength(1000)
})
