import { closeSync, openSync } from 'node:fs'
import type * as NodeSqlite from 'node:sqlite'
import type { DatabaseSync } from 'node:sqlite'
import { errorText, PintailError } from '@pintail/core'
import type { WorkerBook } from './book.ts'
import { groupCommit } from './groupCommit.ts'
import type { Known, ServerMark } from './rules.ts'

export interface SqliteBookOptions {
  /** A file on a local disk, made with rights for its owner alone. One worker has it. */
  readonly path: string
}

/** `PRAGMA application_id`: "PtRb". */
const applicationId = 0x50_74_52_62
const schemaVersion = 1

const schema = `
  CREATE TABLE connections (
    server TEXT NOT NULL, connection TEXT NOT NULL, token INTEGER NOT NULL, epoch INTEGER NOT NULL,
    done TEXT, has_answer INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (server, connection)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX revoked ON connections (at) WHERE done = 'revoked';
  CREATE TABLE servers (
    server TEXT PRIMARY KEY, token INTEGER NOT NULL, since REAL, sync_token INTEGER, sync_epoch INTEGER
  ) STRICT, WITHOUT ROWID;
`

interface ConnectionRow {
  readonly server: string
  readonly connection: string
  readonly token: number
  readonly epoch: number
  readonly done: Known['done']
  readonly has_answer: number
  readonly at: number
}

interface ServerRow {
  readonly server: string
  readonly token: number
  readonly since: number | null
  readonly sync_token: number | null
  readonly sync_epoch: number | null
}

/**
 * A book in a file (node:sqlite, write-ahead log): what was recorded survives a loss of power, as with `synchronous = FULL`, and
 * the event loop does not wait for the disk. Whatever comes while the disk works is one commit.
 *
 * @throws PintailError `unavailable`: another process has it, or it cannot be written; `unsupported`: of a newer version, or no
 * node:sqlite; `invalid_options`: the file is something else
 */
export function sqliteBook({ path }: SqliteBookOptions): WorkerBook {
  const db = open(path)
  const put = db.prepare(
    'INSERT INTO connections VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET token = excluded.token, epoch = excluded.epoch, done = excluded.done, has_answer = excluded.has_answer, at = excluded.at',
  )
  const putMark = db.prepare('INSERT OR REPLACE INTO servers VALUES (?, ?, ?, ?, ?)')
  const old = db.prepare("SELECT server, connection FROM connections WHERE done = 'revoked' AND at < ? LIMIT 10000")
  const forget = db.prepare('DELETE FROM connections WHERE server = ? AND connection = ?')
  const commits = groupCommit(db, path, (error) => unwritten(path, error))
  const { connections, marks } = load(db)
  const on = (serverId: string): Map<string, Known> => {
    const found = connections.get(serverId) ?? new Map<string, Known>()
    connections.set(serverId, found)
    return found
  }
  return {
    connection: (serverId, connectionId) => connections.get(serverId)?.get(connectionId) ?? null,
    server: (serverId) => marks.get(serverId) ?? null,
    connections: (serverId) => new Map(connections.get(serverId)),
    get isEmpty() {
      return marks.size === 0 && connections.size === 0
    },
    record: (serverId, connectionId, known) => {
      const { token, epoch, done, hasAnswer, at } = known
      const values = [serverId, connectionId, token, epoch, done, hasAnswer ? 1 : 0, Math.round(at)] as const
      const undo = replace(on(serverId), connectionId, known)
      return commits.add(() => put.run(...values), undo)
    },
    mark: (serverId, mark) => {
      const values = [serverId, mark.token, mark.since, mark.sync?.token ?? null, mark.sync?.epoch ?? null] as const
      const undo = replace(marks, serverId, mark)
      return commits.add(() => putMark.run(...values), undo)
    },
    prune: async (before) => {
      commits.write()
      const rows = old.all(Math.round(before)) as unknown as { readonly server: string; readonly connection: string }[]
      const all = rows.map(({ server, connection }) => {
        const undo = replace(on(server), connection, undefined)
        return commits.add(() => forget.run(server, connection), undo)
      })
      await Promise.all(all)
      return rows.length
    },
    close: async () => {
      await commits.close()
      db.close()
    },
  }
}

/** What it was before comes back if it cannot be kept, unless something newer has come since. */
function replace<T>(map: Map<string, T>, key: string, value: T | undefined): () => void {
  const before = map.get(key)
  const set = (one: T | undefined): void => {
    if (one === undefined) map.delete(key)
    else map.set(key, one)
  }
  set(value)
  return () => {
    if (map.get(key) === value) set(before)
  }
}

/** All of it, about 200 bytes a connection: every command asks for one, and a sync for all of a server. */
function load(db: DatabaseSync): { readonly connections: Map<string, Map<string, Known>>; readonly marks: Map<string, ServerMark> } {
  const connections = new Map<string, Map<string, Known>>()
  const marks = new Map<string, ServerMark>()
  for (const row of db.prepare('SELECT * FROM connections').iterate() as Iterable<unknown> as Iterable<ConnectionRow>) {
    const known = connections.get(row.server) ?? new Map<string, Known>()
    connections.set(row.server, known.set(row.connection, knownOf(row)))
  }
  for (const row of db.prepare('SELECT * FROM servers').iterate() as Iterable<unknown> as Iterable<ServerRow>)
    marks.set(row.server, serverMarkOf(row))
  return { connections, marks }
}

const knownOf = ({ token, epoch, done, has_answer, at }: ConnectionRow): Known => ({ token, epoch, done, hasAnswer: has_answer === 1, at })

const serverMarkOf = ({ token, since, sync_token, sync_epoch }: ServerRow): ServerMark => ({
  token,
  since,
  sync: sync_token === null || sync_epoch === null ? null : { token: sync_token, epoch: sync_epoch },
})

function open(path: string): DatabaseSync {
  create(path)
  const db = new (sqlite().DatabaseSync)(path)
  try {
    db.exec('PRAGMA busy_timeout = 0')
    // Held from the first reading until it is closed: two workers with one book would each believe that they know all.
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    prepare(db, path)
    return db
  } catch (error) {
    db.close()
    if (error instanceof PintailError) throw error
    throw isTaken(error) ? taken(path) : isForeign(error) ? foreign(path) : unwritten(path, error)
  }
}

/** Its rows name users: for its owner alone. SQLite gives the files beside it the same rights. */
function create(path: string): void {
  if (path === ':memory:') return
  try {
    // Only where there is none: closing a file gives up every lock that this process has on it.
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritten(path, error)
  }
}

function prepare(db: DatabaseSync, path: string): void {
  const tables = db.prepare("SELECT count(*) AS count FROM sqlite_schema WHERE type = 'table'").get() as { readonly count: number }
  const { application_id: mark } = db.prepare('PRAGMA application_id').get() as { readonly application_id: number }
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { readonly user_version: number }
  if (tables.count > 0 && mark !== applicationId) throw foreign(path)
  if (version > schemaVersion)
    throw new PintailError(
      'unsupported',
      `${path}: it has schema ${version}, and this Pintail knows ${schemaVersion}; nothing was changed`,
      {
        remedy: 'Use the newer Pintail, or another file.',
      },
    )
  // Rows of one commit are all over the tree: small pages make less to write.
  db.exec('PRAGMA page_size = 1024')
  db.exec('PRAGMA journal_mode = WAL')
  // The log is synchronised by whoever waits for it (`groupCommit`), off the event loop; here before its pages move to the file.
  db.exec('PRAGMA synchronous = NORMAL')
  // Writing takes the lock at once, so that a second worker hears of it before it works.
  db.exec('BEGIN IMMEDIATE')
  if (tables.count === 0) db.exec(schema)
  db.exec(`PRAGMA application_id = ${applicationId}`)
  db.exec(`PRAGMA user_version = ${schemaVersion}`)
  db.exec('COMMIT')
}

const code = (error: unknown): unknown => (error as { readonly errcode?: unknown } | null)?.errcode
const isTaken = (error: unknown): boolean => [5, 6].includes(Number(code(error)) & 0xff)
const isForeign = (error: unknown): boolean => (Number(code(error)) & 0xff) === 26

const taken = (path: string): PintailError =>
  new PintailError('unavailable', `${path}: another process has this book`, {
    remedy: 'Run one worker a book; give the second one a file of its own.',
  })

const foreign = (path: string): PintailError =>
  new PintailError('invalid_options', `${path}: it is not a book of a worker; nothing was changed`, { remedy: 'Name another file.' })

const unwritten = (path: string, error: unknown): PintailError =>
  new PintailError('unavailable', `${path}: ${errorText(error)}`, { cause: error, remedy: 'Look at the disk: its space, its rights.' })

/** Taken when it is needed: importing this file must not fail, nor warn, where it is missing or experimental. */
function sqlite(): typeof NodeSqlite {
  const module = process.getBuiltinModule('node:sqlite')
  if (module) return module
  throw new PintailError('unsupported', `this Node (${process.version}) has no node:sqlite`, {
    remedy: 'Use Node 22.13 or later, or 22.12 with --experimental-sqlite.',
  })
}
