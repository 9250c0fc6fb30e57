// People watch while the server is killed and started again, their network is cut, and their line stands still: over all
// of it their books are those of the store. PINTAIL_MIGRATIONS is how many migrations there are (default 150; 1000 take three minutes), PINTAIL_SEED
// draws other moments.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sqliteStores } from '@pintail/adapters/sqlite'
import { ApiError, createClient, type PintailClient } from '@pintail/client'
import { seededRandom } from '@pintail/core/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { end, firstLine } from './children.ts'
import { type Line, makeLine } from './live/line.ts'
import { Watcher } from './live/watcher.ts'
import type { ServerSetting } from './live/words.ts'

const wanted = Number(process.env.PINTAIL_MIGRATIONS ?? 150)
const seed = Number(process.env.PINTAIL_SEED ?? 1)
const random = seededRandom(seed)
const [servers, users] = [20, 400]
const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

let folder: string
let child: ChildProcess
let port = 0
let starts = 0
const did = { killed: 0, restarted: 0, cut: 0, stalled: 0 }

async function start(): Promise<void> {
  const setting: ServerSetting = {
    store: join(folder, 'pintail.db'),
    books: join(folder, 'host.db'),
    port,
    token: ++starts,
    servers,
    users,
  }
  const args = ['--conditions', '@pintail/source', join(import.meta.dirname, 'live', 'server.ts'), JSON.stringify(setting)]
  child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  port = Number(await firstLine(child))
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pintail-live-'))
  await start()
})
afterAll(async () => {
  if (child) await end(child)
  await rm(folder, { recursive: true, force: true })
})

/** One user after the other is moved to another server by hand; what is cut off is asked for again, as something new. */
async function drive(client: PintailClient, made: Set<string>, signal: AbortSignal): Promise<void> {
  using books = new DatabaseSync(join(folder, 'host.db'), { readOnly: true, timeout: 60_000 })
  const homeOf = books.prepare('SELECT server FROM homes WHERE user = ?')
  while (made.size < wanted && !signal.aborted) {
    const user = `u${Math.floor(random() * users)}`
    const { server } = homeOf.get(user) as { readonly server: string }
    const to = `s${1 + ((Number(server.slice(1)) + Math.floor(random() * (servers - 1))) % servers)}`
    try {
      const body = { server_id: server, to_node_id: to, connection_ids: [user], auto_approve: true }
      const { id } = await client.migrations.create(body, { signal })
      made.add(id)
      await rest(random() * 800)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      // A source that is being left already, a user who has gone meanwhile, or a server that is away: another one, later.
      await rest(20)
    }
  }
}

async function kill(): Promise<void> {
  await end(child)
  did.killed++
  await rest(random() * 500)
  await start()
}

async function restart(): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
  did.restarted++
  await start()
}

async function cut(lines: readonly Line[]): Promise<void> {
  for (const line of lines) if (random() < 0.5) line.cut()
  did.cut++
}

async function stall(lines: readonly Line[]): Promise<void> {
  for (const line of lines) if (random() < 0.3) line.stall(500 + random() * 4000)
  did.stalled++
}

const first = [kill, restart, cut, stall] as const

/** Each once, then as it comes: a process that starts costs seconds, a line that breaks nothing. */
function disturbance(index: number): (lines: readonly Line[]) => Promise<void> {
  const often = [kill, restart, ...Array.from({ length: 6 }, () => [cut, stall]).flat()]
  return first[index] ?? (often[Math.floor(random() * often.length)] as typeof cut)
}

test(`over ${wanted} migrations no event is missed or doubled, and every book equals the store's`, async () => {
  const lines = await Promise.all(Array.from({ length: 6 }, () => makeLine(() => port)))
  const watchers = lines.map((line) => new Watcher(line.port))
  // A picture shows what is open: who watches from the beginning knows all of it.
  while (watchers.some(({ pictures }) => pictures === 0)) await rest(20)
  const made = new Set<string>()
  const stopping = new AbortController()
  const driver = createClient({ baseUrl: `http://127.0.0.1:${port}/api` })
  const driving = Promise.all(Array.from({ length: 12 }, () => drive(driver, made, stopping.signal))).finally(() => stopping.abort())
  for (let index = 0; !stopping.signal.aborted || index < first.length; index++) {
    await rest(50 + random() * 400)
    await disturbance(index)(lines)
  }
  await driving
  // Quiet again: what is open runs to its end, and everybody catches up.
  while ((await driver.migrations.list({ status: ['scheduled', 'preparing', 'transferring', 'completing'] })).total > 0) await rest(100)
  await rest(1000)
  const { last_seq: last } = await driver.snapshot()
  for (const end = performance.now() + 300_000; performance.now() < end && watchers.some(({ cursor }) => cursor < last); ) await rest(100)
  await Promise.all(watchers.map((watcher) => watcher.stop()))
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone

  const { store, close } = sqliteStores({ path: join(folder, 'pintail.db') })
  const ctx = { signal: new AbortController().signal }
  const journal: { seq: number; type: string }[] = []
  for (let after = 0; ; after = journal.at(-1)?.seq ?? after) {
    const { entries } = await store.readJournal({ after, limit: 1000 }, ctx)
    if (entries.length === 0) break
    journal.push(...entries.map(({ seq, type }) => ({ seq, type })))
  }
  const kept = new Map<string, string>()
  const listing = store.list('migration', {}, ctx)
  if (Symbol.asyncIterator in listing) for await (const rows of listing) for (const { id, status } of rows) kept.set(id, status)
  await close()

  expect(kept.size).toBeGreaterThanOrEqual(wanted)
  for (const id of made) expect(kept.get(id)).toBe('completed')
  for (const { complaints, entries, from, cursor, statuses, pictures } of watchers) {
    expect(complaints).toEqual([])
    expect(pictures).toBe(1)
    expect(entries).toEqual(journal.filter(({ seq }) => seq > from && seq <= cursor))
    expect(cursor).toBeGreaterThanOrEqual(last)
    expect(Object.fromEntries(statuses)).toEqual(Object.fromEntries(kept))
  }
  const connections = watchers.reduce((sum, one) => sum + one.connections, 0)
  console.log(JSON.stringify({ migrations: kept.size, events: journal.length, watchers: watchers.length, connections, ...did, seed }))
  expect(Math.min(did.killed, did.restarted, did.cut, did.stalled)).toBeGreaterThan(0)
  await Promise.all(lines.map((line) => line.close()))
}, 1_800_000)
