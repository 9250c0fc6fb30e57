// Lists of 100,000 migrations over HTTP, against what they are made of: the same SQL through the same driver, and
// JSON.stringify of its rows.
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, createServer, get, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { postgresStores } from '@pintail/adapters/postgres'
import { sqliteStores } from '@pintail/adapters/sqlite'
import {
  createPintail,
  type LeaseStore,
  type MigrationStore,
  memoryMover,
  memoryRegistry,
  type RecordQuery,
  type Token,
} from '@pintail/core'
import { findSql as postgresSql } from '../../packages/adapters/src/postgres/find.ts'
import { tablesOf } from '../../packages/adapters/src/postgres/schema.ts'
import { findSql as sqliteSql } from '../../packages/adapters/src/sqlite/find.ts'
import { hasPostgres, startPostgres } from '../../packages/adapters/test/postgres.ts'
import { migrationOf } from '../../packages/adapters/test/records.ts'
import { plainHost } from '../../packages/fastify-plugin/test/plainHost.ts'
import { type Emit, median } from '../harness.ts'

const rows = 100_000
const servers = 200
const runs = 7
/** Of each side in each run, milliseconds. */
const runMs = 250
const ctx = { signal: new AbortController().signal }
const name = 'list-100k'

/** What is asked over HTTP, and of the store. */
const questions: readonly { readonly what: string; readonly url: string; readonly query: RecordQuery }[] = [
  { what: 'first 50', url: '', query: { limit: 50, offset: 0 } },
  { what: 'first 200', url: '?limit=200', query: { limit: 200, offset: 0 } },
  { what: 'late 50', url: `?offset=${rows - 60}`, query: { limit: 50, offset: rows - 60 } },
  { what: 'of one state', url: '?status=failed', query: { limit: 50, offset: 0, status: ['failed'] } },
  { what: 'of one server', url: '?server_id=s7', query: { limit: 50, offset: 0, serverId: 's7' } },
  {
    what: 'late of one state',
    url: `?status=completed&offset=${rows * 0.9}`,
    query: { limit: 50, offset: rows * 0.9, status: ['completed'] },
  },
  {
    what: 'of server, state and reason',
    url: '?server_id=s7&status=completed&reason=failback',
    query: { limit: 50, offset: 0, serverId: 's7', status: ['completed'], reason: 'failback' },
  },
]

const reasons = ['server-down', 'manual', 'failback', 'rebalancing'] as const
const idOf = (index: number): string =>
  `01890a5d-${(index >> 16).toString(16).padStart(4, '0')}-7${(index & 0xfff).toString(16).padStart(3, '0')}-8000-${index.toString(16).padStart(12, '0')}`

/** As an engine has left them. */
async function fill(store: MigrationStore): Promise<void> {
  for (let from = 0, batch = 1; from < rows; from += 2000, batch++) {
    const writes = Array.from({ length: 2000 }, (_, offset) => {
      const index = from + offset
      const at = Date.UTC(2026, 0, 1) + index * 60_000
      const status = index % 20 === 0 ? 'failed' : index % 33 === 0 ? 'cancelled' : 'completed'
      const value = {
        ...migrationOf(),
        id: idOf(index),
        evacuationId: idOf(index >> 2),
        fromServerId: `s${index % servers}`,
        toServerId: `s${(index * 7 + 1) % servers}`,
        status,
        reason: reasons[index % 4],
        createdAt: at,
        approvedAt: at + 10,
        scheduledAt: at + 20,
        startedAt: at + 30,
        completedAt: at + 60_000,
        errorMessage: status === 'failed' ? `the target refused ${index % 7} users` : null,
      }
      return { kind: 'migration', id: value.id, expected: 0, value: value as never } as const
    })
    await store.commit({ token: 0 as Token, batch, writes, journal: [] }, ctx)
  }
}

type Ask = () => Promise<unknown>

/** Answers a second, one after the other. */
async function rate(ask: Ask): Promise<number> {
  const begun = performance.now()
  let count = 0
  for (; performance.now() - begun < runMs; count++) await ask()
  return count / ((performance.now() - begun) / 1000)
}

/** Sides take turns, so that what else the machine does meets all of them. */
async function compare(sides: readonly Ask[]): Promise<readonly number[][]> {
  const rates: number[][] = sides.map(() => [])
  for (let run = 0; run <= runs; run++)
    for (const [side, ask] of sides.entries()) {
      const one = await rate(ask)
      // The first one is not counted.
      if (run > 0) rates[side]?.push(one)
    }
  return rates
}

function overSocket(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
      })
      response.on('end', () => resolve(length))
    }).on('error', reject)
  })
}

interface Kept {
  readonly store: MigrationStore
  readonly leases: LeaseStore
  /** The rows of the query that the store makes of this one. */
  readonly bare: (query: RecordQuery) => () => Promise<unknown>
}

async function lists(emit: Emit, database: string, { store, leases, bare }: Kept, progress: (text: string) => void): Promise<void> {
  const registry = memoryRegistry({ servers: [], connections: {} })
  const engine = createPintail({ registry, mover: memoryMover(registry), store, leases })
  const { app, address } = await plainHost(engine)
  const begun = performance.now()
  await engine.start()
  while (engine.health().state !== 'leading') await new Promise((resolve) => setImmediate(resolve))
  // With nothing open: what it reads does not depend on what is over.
  emit({ case: `${name}-${database}`, metric: 'lead_ms', value: performance.now() - begun, unit: 'ms' })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let rawAsk: Ask = async () => ''
  const rawServer: Server = createServer((_, response) => void rawAsk().then((text) => response.end(text)))
  await new Promise<void>((resolve) => rawServer.listen(0, '127.0.0.1', resolve))
  const rawUrl = `http://127.0.0.1:${(rawServer.address() as AddressInfo).port}/`
  try {
    for (const { what, url, query } of questions) {
      const ask = bare(query)
      rawAsk = async () => JSON.stringify(await ask())
      const inject = async () => {
        const { statusCode, body } = await app.inject(`/api/migrations${url}`)
        if (statusCode !== 200) throw new Error(body)
      }
      const sides = [rawAsk, inject, () => overSocket(rawUrl, agent), () => overSocket(`${address}/api/migrations${url}`, agent)]
      const [raw = [], injected = [], bareServer = [], served = []] = await compare(sides)
      const ratio = (ours: readonly number[], theirs: readonly number[]) =>
        median(ours.map((one, run) => one / (theirs[run] ?? Number.NaN)))
      const tell = (side: string, ours: readonly number[], theirs: readonly number[], metric: string, peer: string) => {
        const value = ratio(ours, theirs)
        emit({
          case: `${name}-${database}/${what}/${side}`,
          metric,
          value,
          unit: 'ratio',
          peer,
          ratio: value,
          ...(metric === 'of_bare_query' && { aim: 'ratio>=0.5' }),
        })
      }
      emit({
        case: `${name}-${database}/${what}/inject`,
        metric: 'answer_ms',
        value: 1000 / median(injected),
        unit: 'ms',
        peer: 'bare query',
        ratio: median(raw) / median(injected),
      })
      tell('inject', injected, raw, 'of_bare_query', 'the same SQL and JSON.stringify')
      tell('socket', served, raw, 'of_bare_query', 'the same SQL and JSON.stringify')
      tell('socket', served, bareServer, 'of_bare_server', 'the same behind node:http')
      progress(
        `${database}, ${what}: bare ${(1000 / median(raw)).toFixed(2)} ms, inject ${(1000 / median(injected)).toFixed(2)} ms, socket ${(1000 / median(served)).toFixed(2)} ms`,
      )
    }
  } finally {
    agent.destroy()
    rawServer.close()
    await app.close()
    await engine.stop()
  }
}

async function inSqlite(emit: Emit, progress: (text: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-bench-'))
  const path = join(folder, 'state.db')
  const stores = sqliteStores({ path })
  try {
    await fill(stores.store)
    progress(`sqlite: ${rows} migrations are kept`)
    const db = new DatabaseSync(path)
    const bare = (query: RecordQuery) => {
      const { sql, values } = sqliteSql('migration', query)
      const statement = db.prepare(sql)
      return async () => statement.all(...values)
    }
    await lists(emit, 'sqlite', { ...stores, bare }, progress)
    db.close()
  } finally {
    await stores.close()
    rmSync(folder, { recursive: true })
  }
}

async function inPostgres(emit: Emit, progress: (text: string) => void): Promise<void> {
  if (!hasPostgres) {
    emit({ case: `${name}-postgres`, metric: 'of_bare_query', skipped: 'no PostgreSQL server is installed' })
    return
  }
  await using server = await startPostgres({ durable: true })
  const pool = server.pool()
  const stores = postgresStores({ pool })
  await stores.migrate()
  await fill(stores.store)
  // What autovacuum does within a minute.
  await pool.query('VACUUM ANALYZE')
  progress(`postgres: ${rows} migrations are kept`)
  const bare = (query: RecordQuery) => {
    const { sql, values } = postgresSql(tablesOf({}), 'migration', query)
    return async () => (await pool.query(sql, values)).rows
  }
  await lists(emit, 'postgres', { ...stores, bare }, progress)
}

export async function list100k(emit: Emit, progress: (text: string) => void): Promise<void> {
  await inSqlite(emit, progress)
  await inPostgres(emit, progress)
}
