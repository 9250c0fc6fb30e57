// What a transition costs in a durable store, against the least that it could cost there: one compare-and-set of a row and
// one row of an outbox, in one transaction, through the same driver, in the same run.
//
// A transition is a move that becomes `moving` or `moved`: its record, and its entry in the journal. With one caller each
// is a commit of its own. With sixteen they meet in batches, as in the engine, which commits what one turn of the event
// loop brings together; the raw side has sixteen connections, each with its own row.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { postgresStores } from '@pintail/adapters/postgres'
import { sqliteStores } from '@pintail/adapters/sqlite'
import type { JournalDraft, MigrationStore, MoveRecord, StoreWrite, Token } from '@pintail/core'
import { hasPostgres, type PostgresServer, startPostgres } from '../packages/adapters/test/postgres.ts'
import { type Bench, type Emit, median } from './harness.ts'

const runs = 7
/** Of each side, milliseconds: how many that are depends on the disk, which has to keep each commit. */
const runMs = 800
const moves = 1000
const ctx = { signal: new AbortController().signal }

const recordOf = (index: number, version: number): MoveRecord =>
  ({
    id: `01890a5d-ac96-774b-bcce-b302099a8057/c${index}`,
    migrationId: '01890a5d-ac96-774b-bcce-b302099a8057',
    connection: {
      id: `c${index}`,
      rawId: `c${index}`,
      userId: `u${index}`,
      region: 'eu',
      needs: {},
      mobility: 'free',
      tier: 0,
      preferredServer: null,
      meta: null,
    },
    attempt: 1,
    state:
      version % 2 === 0
        ? { state: 'moving', token: 1, since: 1767225600000 }
        : { state: 'moved', at: 1767225600000, startedAt: 1767225600000 },
    version,
  }) as unknown as MoveRecord
const entryOf = (index: number): JournalDraft => ({
  at: 1767225600000,
  type: 'connection.moved',
  data: {
    connectionId: `c${index}`,
    migrationId: '01890a5d-ac96-774b-bcce-b302099a8057',
    fromServerId: 's1',
    toServerId: 's2',
    reason: 'server-down',
  },
})

type Transition = (index: number) => Promise<unknown>

/** So many callers that each wait for their own; transitions a second. */
async function rate(callers: number, transition: Transition): Promise<number> {
  let next = 0
  const begun = performance.now()
  const caller = async () => {
    while (performance.now() - begun < runMs) await transition(next++ % moves)
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return next / ((performance.now() - begun) / 1000)
}

/** Transitions of a store, gathered by turns of the event loop as the engine's journal does it. */
async function ours(store: MigrationStore): Promise<Transition> {
  const versions = new Map<number, number>()
  let batch = 0
  let waiting: { readonly index: number; readonly done: () => void; readonly failed: (error: unknown) => void }[] = []
  let isFlushing = false
  const flush = async () => {
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      const writes = group.map(({ index }): StoreWrite => {
        const expected = versions.get(index) ?? 0
        versions.set(index, expected + 1)
        const value = recordOf(index, expected + 1)
        return { kind: 'move', id: value.id, expected, value }
      })
      try {
        await store.commit({ token: 1 as Token, batch: ++batch, writes, journal: group.map(({ index }) => entryOf(index)) }, ctx)
        for (const { done } of group) done()
      } catch (error) {
        for (const { failed } of group) failed(error)
      }
    }
    isFlushing = false
  }
  const transition: Transition = (index) =>
    new Promise<void>((done, failed) => {
      waiting.push({ index, done, failed })
      if (isFlushing) return
      isFlushing = true
      setImmediate(flush)
    })
  await Promise.all(Array.from({ length: moves }, (_, index) => transition(index)))
  return transition
}

async function compare(emit: Emit, name: string, callers: number, our: Transition, raw: Transition, progress: (text: string) => void) {
  const [rates, ratios]: [number[], number[]] = [[], []]
  for (let run = 0; run <= runs; run++) {
    const bare = await rate(callers, raw)
    const own = await rate(callers, our)
    progress(`${name}, run ${run} of ${runs}${run === 0 ? ' (not counted)' : ''}: raw ${bare.toFixed(0)}/s, ours ${own.toFixed(0)}/s`)
    if (run === 0) continue
    rates.push(own)
    ratios.push(own / bare)
  }
  const peer = 'one compare-and-set and one outbox row'
  emit({ case: name, metric: 'transitions_per_s', value: median(rates), unit: '1/s', peer, ratio: median(ratios) })
  emit({ case: name, metric: 'of_raw', value: median(ratios), unit: 'ratio', peer, ratio: median(ratios), aim: 'ratio>=0.7' })
}

async function sqlite(emit: Emit, folder: string, progress: (text: string) => void) {
  const db = new DatabaseSync(join(folder, 'raw.db'))
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  db.exec(
    'CREATE TABLE items (id TEXT PRIMARY KEY, version INTEGER, record TEXT); CREATE TABLE outbox (seq INTEGER PRIMARY KEY, data TEXT)',
  )
  const versions = Array.from({ length: moves }, () => 1)
  for (let index = 0; index < moves; index++) db.prepare('INSERT INTO items VALUES (?, 1, ?)').run(`c${index}`, '{}')
  const [begin, update, insert, commit] = [
    'BEGIN IMMEDIATE',
    'UPDATE items SET version = ?, record = ? WHERE id = ? AND version = ?',
    'INSERT INTO outbox (data) VALUES (?)',
    'COMMIT',
  ].map((sql) => db.prepare(sql))
  const raw: Transition = async (index) => {
    const version = versions[index] ?? 1
    begin?.run()
    update?.run(version + 1, JSON.stringify(recordOf(index, version)), `c${index}`, version)
    insert?.run(JSON.stringify(entryOf(index)))
    commit?.run()
    versions[index] = version + 1
  }
  // In a thread of its own, as it is by default: the way there and back is part of each transition that comes alone. And in
  // the caller's, which has no such way and holds the event loop instead.
  for (const [name, worker] of [
    ['sqlite', true],
    ['sqlite-caller', false],
  ] as const) {
    const stores = sqliteStores({ path: join(folder, `${name}.db`), worker })
    await compare(emit, name, 1, await ours(stores.store), raw, progress)
    await stores.close()
  }
  db.close()
}

async function postgres(emit: Emit, server: PostgresServer, callers: number, progress: (text: string) => void) {
  const pool = server.pool({ max: callers + 1 })
  await pool.query(
    'DROP TABLE IF EXISTS items, outbox; CREATE TABLE items (id text PRIMARY KEY, version bigint, record json); CREATE TABLE outbox (seq bigserial PRIMARY KEY, data json)',
  )
  await pool.query("INSERT INTO items SELECT 'c' || i, 1, '{}' FROM generate_series(0, $1::int - 1) i", [moves])
  const versions = Array.from({ length: moves }, () => 1)
  const raw: Transition = async (index) => {
    const version = versions[index] ?? 1
    versions[index] = version + 1
    const sql =
      'WITH changed AS (UPDATE items SET version = $2, record = $3 WHERE id = $1 AND version = $4 RETURNING id) INSERT INTO outbox (data) SELECT $5::json FROM changed'
    await pool.query(sql, [`c${index}`, version + 1, JSON.stringify(recordOf(index, version)), version, JSON.stringify(entryOf(index))])
  }
  const schema = `bench_${callers}`
  const stores = postgresStores({ pool: pool, schema })
  await stores.migrate()
  await compare(emit, `postgres-${callers}`, callers, await ours(stores.store), raw, progress)
}

const store: Bench = async (emit, { progress, args }) => {
  const wants = (name: string) => args.length === 0 || args.includes(name)
  const folder = mkdtempSync(join(tmpdir(), 'pintail-bench-'))
  const server = hasPostgres ? await startPostgres({ durable: true }) : null
  try {
    if (wants('sqlite')) await sqlite(emit, folder, progress)
    for (const callers of [1, 16]) {
      if (!wants(`postgres-${callers}`)) continue
      if (server) await postgres(emit, server, callers, progress)
      else emit({ case: `postgres-${callers}`, skipped: 'no PostgreSQL server is installed' })
    }
  } finally {
    await server?.stop()
    rmSync(folder, { recursive: true })
  }
}

export default store
