// What a store costs as it grows: a page in the middle of its journal, its end, and the start of an engine over it, at
// 10,000 to 10,000,000 entries; and the start with as many ended migrations as such a life leaves behind.
// `npm run bench -- store-growth [sqlite] [postgres] [quick]`: quick ends at 100,000 entries.
//
// Entries are written by the database itself, because ten million commits would take the day. Both files have what a
// store keeps that has its cursor at the end: an audit trail that is a hundred entries behind.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { postgresStores } from '@pintail/adapters/postgres'
import { sqliteStores } from '@pintail/adapters/sqlite'
import { createPintail, type LeaseStore, type LogSink, type MigrationStore, memoryMover, memoryRegistry } from '@pintail/core'
import { hasPostgres, type PostgresServer, startPostgres } from '../packages/adapters/test/postgres.ts'
import { migrationOf } from '../packages/adapters/test/records.ts'
import { type Bench, type Emit, median } from './harness.ts'

const sizes = [10_000, 100_000, 1_000_000, 10_000_000]
/** An evacuation of a few hundred users leaves a few entries for each, and a migration for each target. */
const histories = [100, 1000, 10_000, 100_000]
const quickSizes = 2
const pages = 200
const pageRows = 100
const starts = 7
const behind = 100
const ctx = { signal: new AbortController().signal }

const entry = JSON.stringify({
  key: '01890a5d-ac96-774b-bcce-b302099a8057/c1/1',
  connectionId: 'c1',
  migrationId: '01890a5d-ac96-774b-bcce-b302099a8057',
  fromServerId: 's1',
  toServerId: 's2',
  reason: 'server-down',
})
const migration = JSON.stringify(migrationOf())

/** A store that fills itself. */
interface Grown {
  readonly name: string
  readonly store: MigrationStore
  readonly leases: LeaseStore
  /** Entries up to this number. */
  fill(to: number): Promise<void>
  /** Takes back what has come after this number, and puts the cursor of the audit trail `behind` before it. */
  rewind(to: number): Promise<void>
  /** So many ended migrations. */
  migrations(to: number): Promise<void>
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}

/** How long it takes until an engine leads and its audit trail has caught up. */
async function startOver({ store, leases }: Grown): Promise<number> {
  const registry = memoryRegistry({ servers: [], connections: {} })
  let caughtUp = () => {}
  const told = new Promise<void>((resolve) => {
    caughtUp = resolve
  })
  let lines = 0
  const log: LogSink = {
    write: async () => {
      if (++lines === behind) caughtUp()
    },
  }
  const engine = createPintail({ registry, mover: memoryMover(registry), store, leases, log })
  const took = await timed(async () => {
    await engine.start()
    await told
  })
  await engine.stop()
  return took
}

async function startMs(grown: Grown, size: number): Promise<number> {
  const times: number[] = []
  for (let count = -2; count < starts; count++) {
    await grown.rewind(size)
    const took = await startOver(grown)
    // The first ones are not counted.
    if (count >= 0) times.push(took)
  }
  return median(times)
}

async function growth(emit: Emit, grown: Grown, count: number, progress: (text: string) => void): Promise<void> {
  const { name, store } = grown
  const first = new Map<string, number>()
  const tell = (size: number, metric: string, value: number) => {
    const peer = `${sizes[0]} entries`
    if (!first.has(metric)) first.set(metric, value)
    emit({ case: `${name}-${size}`, metric, value, unit: 'ms', peer, ratio: value / (first.get(metric) ?? Number.NaN), aim: 'ratio<=1.5' })
  }
  for (const size of sizes.slice(0, count)) {
    progress(`${name}, ${size} entries: filled in ${((await timed(() => grown.fill(size))) / 1000).toFixed(1)} s`)
    const [middle, ends]: [number[], number[]] = [[], []]
    for (let page = -20; page < pages; page++) {
      // Spread over the whole of it, never two that are neighbours.
      const after = Math.floor((((page + 20) * 0.618034) % 1) * (size - 2 * pageRows))
      const [inside, atEnd] = [
        await timed(() => readPage(store, after, after + 1, pageRows)),
        await timed(() => readPage(store, size, null, 0)),
      ]
      // The first ones are not counted.
      if (page < 0) continue
      middle.push(inside)
      ends.push(atEnd)
    }
    tell(size, 'page_ms', median(middle))
    tell(size, 'end_ms', median(ends))
    tell(size, 'resume_ms', await startMs(grown, size))
    await grown.rewind(size)
    progress(`${name}, ${size} entries: done`)
  }
  let least = Number.NaN
  for (const history of histories.slice(0, count)) {
    await grown.migrations(history)
    const value = await startMs(grown, sizes[count - 1] ?? 0)
    if (Number.isNaN(least)) least = value
    progress(`${name}, ${history} ended migrations: an engine leads after ${value.toFixed(1)} ms`)
    const peer = `${histories[0]} ended migrations`
    emit({ case: `${name}-${history}-migrations`, metric: 'resume_ms', value, unit: 'ms', peer, ratio: value / least, aim: 'ratio<=1.5' })
  }
}

async function readPage(store: MigrationStore, after: number, first: number | null, rows: number): Promise<void> {
  const { entries } = await store.readJournal({ after, limit: pageRows }, ctx)
  if (entries.length !== rows || (entries[0]?.seq ?? null) !== first) throw new Error(`a wrong page after ${after}`)
}

async function inSqlite(folder: string): Promise<Grown & AsyncDisposable> {
  const path = join(folder, 'grown.db')
  const stores = sqliteStores({ path })
  await stores.open()
  const over = (work: (db: DatabaseSync) => void) => {
    const db = new DatabaseSync(path)
    try {
      work(db)
    } finally {
      db.close()
    }
  }
  return {
    name: 'sqlite',
    ...stores,
    fill: async (to) =>
      over((db) => {
        db.prepare(
          `WITH RECURSIVE n (seq) AS (SELECT coalesce(max(seq), 0) + 1 FROM journal UNION ALL SELECT seq + 1 FROM n WHERE seq < ?)
           INSERT INTO journal (seq, at, type, data) SELECT seq, 1.5, 'connection.moved', ? FROM n`,
        ).run(to, entry)
        db.prepare('UPDATE state SET last_seq = ?').run(to)
      }),
    rewind: async (to) =>
      over((db) => {
        db.prepare('DELETE FROM journal WHERE seq > ?').run(to)
        db.prepare('UPDATE state SET last_seq = ?').run(to)
        db.exec(`DELETE FROM records WHERE kind = 'cursor'`)
        const cursor = JSON.stringify({ name: 'log', seq: to - behind, version: 1 })
        db.prepare(`INSERT INTO records (kind, id, version, record) VALUES ('cursor', 'log', 1, ?)`).run(cursor)
      }),
    migrations: async (to) =>
      over((db) =>
        db
          .prepare(
            `WITH RECURSIVE n (i) AS (SELECT count(*) + 1 FROM migrations UNION ALL SELECT i + 1 FROM n WHERE i < ?)
             INSERT INTO migrations (id, version, record) SELECT 'm' || i, 1, json_set(?, '$.id', 'm' || i) FROM n`,
          )
          .run(to, migration),
      ),
    [Symbol.asyncDispose]: () => stores.close(),
  }
}

async function inPostgres(server: PostgresServer): Promise<Grown> {
  const pool = server.pool({ max: 2 })
  const stores = postgresStores({ pool, schema: 'grown' })
  await stores.migrate()
  return {
    name: 'postgres',
    ...stores,
    fill: async (to) => {
      await pool.query(
        `INSERT INTO grown.journal (seq, at, type, data) SELECT n, 1.5, 'connection.moved', $2::json
         FROM generate_series((SELECT coalesce(max(seq), 0) FROM grown.journal) + 1, $1::bigint) n`,
        [to, entry],
      )
      await pool.query('UPDATE grown.state SET last_seq = $1', [to])
    },
    rewind: async (to) => {
      await pool.query('DELETE FROM grown.journal WHERE seq > $1', [to])
      await pool.query('UPDATE grown.state SET last_seq = $1', [to])
      await pool.query(`DELETE FROM grown.records WHERE kind = 'cursor'`)
      const cursor = JSON.stringify({ name: 'log', seq: to - behind, version: 1 })
      await pool.query(`INSERT INTO grown.records (kind, id, version, record) VALUES ('cursor', 'log', 1, $1)`, [cursor])
    },
    migrations: async (to) => {
      await pool.query(
        `INSERT INTO grown.migrations (id, version, record) SELECT 'm' || i, 1, jsonb_set($2::jsonb, '{id}', to_jsonb('m' || i))::json
         FROM generate_series((SELECT count(*) FROM grown.migrations) + 1, $1::bigint) i`,
        [to, migration],
      )
    },
  }
}

const storeGrowth: Bench = async (emit, { progress, args }) => {
  const named = args.filter((arg) => arg !== 'quick')
  const wants = (name: string) => named.length === 0 || named.includes(name)
  const count = args.includes('quick') ? quickSizes : sizes.length
  const folder = mkdtempSync(join(tmpdir(), 'pintail-bench-'))
  try {
    if (wants('sqlite')) {
      await using grown = await inSqlite(folder)
      await growth(emit, grown, count, progress)
    }
    if (wants('postgres') && !hasPostgres) emit({ case: 'postgres', skipped: 'no PostgreSQL server is installed' })
    if (wants('postgres') && hasPostgres) {
      await using server = await startPostgres({ durable: true })
      await growth(emit, await inPostgres(server), count, progress)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

export default storeGrowth
