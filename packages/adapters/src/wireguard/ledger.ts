import { closeSync, openSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { errorText, PintailError } from '@pintail/core'

/** Whose peer it is. */
export interface PeerRecord {
  readonly connectionId: string
  readonly publicKey: string
  /** As they were asked for. */
  readonly allowedIps: readonly string[]
  /** Since when the peer has been there in this form, milliseconds since 1970 by the worker's clock. */
  readonly grantedAt: number
}

/**
 * Which peer belongs to which connection: WireGuard itself knows keys alone. A peer that is in no ledger is somebody
 * else's, and left alone. Writes are durable when they return: the note comes before the peer, and goes after it.
 */
export interface PeerLedger {
  /** All of a server. */
  of(serverId: string): PromiseLike<readonly PeerRecord[]> | readonly PeerRecord[]
  /** Notes peers, one a public key, and drops those of other keys, all or nothing. */
  note(serverId: string, changes: { readonly put: readonly PeerRecord[]; readonly drop: readonly string[] }): unknown
  close(): void
}

/**
 * Forgets with the process. After a restart a peer that is asked for again in the same form is known again; one whose
 * user has left meanwhile stays until somebody removes it by hand. For tests, and for daemons that end with the worker.
 */
export function memoryLedger(): PeerLedger {
  const servers = new Map<string, Map<string, PeerRecord>>()
  return {
    of: (serverId) => [...(servers.get(serverId)?.values() ?? [])],
    note(serverId, { put, drop }) {
      const records = servers.get(serverId) ?? new Map<string, PeerRecord>()
      servers.set(serverId, records)
      for (const publicKey of drop) records.delete(publicKey)
      for (const record of put) records.set(record.publicKey, record)
    },
    close: () => servers.clear(),
  }
}

const schema = `CREATE TABLE IF NOT EXISTS peers (
  server_id TEXT NOT NULL,
  public_key TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  allowed_ips TEXT NOT NULL,
  granted_at INTEGER NOT NULL,
  PRIMARY KEY (server_id, public_key)
) STRICT, WITHOUT ROWID`
/** "Pntp": the file says whose it is. */
const applicationId = 0x506e7470

/**
 * One file (node:sqlite, WAL, synchronous=FULL, mode 0600), for one process at a time: a second one is refused.
 * @throws PintailError `unavailable` (another process has it, no permission, no such folder), `invalid_options` (not such a file)
 */
export function fileLedger({ path }: { readonly path: string }): PeerLedger {
  const database = opened(path)
  const all = database.prepare('SELECT connection_id, public_key, allowed_ips, granted_at FROM peers WHERE server_id = ?')
  const put = database.prepare('INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?, ?)')
  const drop = database.prepare('DELETE FROM peers WHERE server_id = ? AND public_key = ?')
  return {
    of: (serverId) =>
      all.all(serverId).map((row) => ({
        connectionId: String(row.connection_id),
        publicKey: String(row.public_key),
        allowedIps: JSON.parse(String(row.allowed_ips)) as string[],
        grantedAt: Number(row.granted_at),
      })),
    note(serverId, changes) {
      database.exec('BEGIN IMMEDIATE')
      try {
        for (const publicKey of changes.drop) drop.run(serverId, publicKey)
        for (const { connectionId, publicKey, allowedIps, grantedAt } of changes.put)
          put.run(serverId, publicKey, connectionId, JSON.stringify(allowedIps), grantedAt)
        database.exec('COMMIT')
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK')
        throw new PintailError('unavailable', `the ledger of peers could not be written: ${errorText(error)}`, {
          cause: error,
          remedy: 'Make room on its disk, and see that it is writable.',
        })
      }
    },
    close: () => database.close(),
  }
}

function opened(path: string): DatabaseSync {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new PintailError('invalid_options', 'fileLedger: path must name a file')
  // Loaded here, so that whoever keeps no file is not warned by a Node that calls it experimental.
  const module = process.getBuiltinModule('node:sqlite')
  if (!module)
    throw new PintailError('unsupported', `this Node (${process.version}) has no node:sqlite`, { remedy: 'Use Node 22.13 or later.' })
  let database: DatabaseSync | null = null
  try {
    // Made here, for this user alone: SQLite gives the log beside it the same rights.
    closeSync(openSync(path, 'a', 0o600))
    database = new module.DatabaseSync(path, { timeout: 0 })
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const owner = Number(database.prepare('PRAGMA application_id').get()?.application_id)
    const tables = Number(database.prepare('SELECT count(*) AS count FROM sqlite_schema').get()?.count)
    if (owner !== applicationId && tables > 0) throw new PintailError('invalid_options', `${path} is a database of something else`)
    database.exec(`BEGIN IMMEDIATE; PRAGMA application_id = ${applicationId}; ${schema}; COMMIT`)
    return database
  } catch (error) {
    database?.close()
    throw failure(path, error)
  }
}

function failure(path: string, error: unknown): PintailError {
  if (error instanceof PintailError) return error
  const text = errorText(error)
  if (/locked|busy/i.test(text))
    return new PintailError('unavailable', `another process has the ledger ${path}`, {
      cause: error,
      remedy: 'One worker a file: end the other one, or give this one a file of its own.',
    })
  if (/not a database|malformed/i.test(text))
    return new PintailError('invalid_options', `${path} is no ledger of peers: ${text}`, { cause: error, remedy: 'Name another file.' })
  return new PintailError('unavailable', `the ledger ${path} could not be opened: ${text}`, {
    cause: error,
    remedy: 'Its folder must exist, and be writable for the user of this process.',
  })
}
