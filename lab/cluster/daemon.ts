// A stand-in for the daemons of the VPN servers of one region: who has access where, in a SQLite file, and beside it a ledger
// that gets a row with each change, in one transaction with it. What is really so is read from here alone.
import { DatabaseSync } from 'node:sqlite'
import type { Access, RegionHandler } from '@pintail/adapters/regions'
import { systemClock } from '@pintail/core'
import type { Change } from './words.ts'

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA busy_timeout = 10000;
  CREATE TABLE IF NOT EXISTS access (server TEXT, connection TEXT, token INTEGER, epoch INTEGER, PRIMARY KEY (server, connection)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS ledger (
    seq INTEGER PRIMARY KEY, at INTEGER, what TEXT, server TEXT, connection TEXT, token INTEGER, epoch INTEGER, isEffective INTEGER);
`

export interface Daemon extends RegionHandler {
  close(): void
}

/** Outlives the worker that speaks to it: whoever opens the file goes on with what is there. */
export function openDaemon(path: string): Daemon {
  const db = new DatabaseSync(path)
  db.exec(schema)
  const put = db.prepare('INSERT INTO access VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET token = excluded.token, epoch = excluded.epoch')
  const has = db.prepare('SELECT 1 FROM access WHERE server = ? AND connection = ?')
  const drop = db.prepare('DELETE FROM access WHERE server = ? AND connection = ?')
  const note = db.prepare('INSERT INTO ledger (at, what, server, connection, token, epoch, isEffective) VALUES (?, ?, ?, ?, ?, ?, ?)')
  const all = db.prepare('SELECT connection FROM access WHERE server = ?')

  const change = (what: Change['what'], { serverId, connectionId, token, epoch }: Access): void => {
    db.exec('BEGIN IMMEDIATE')
    try {
      const was = has.get(serverId, connectionId) !== undefined
      if (what === 'grant') put.run(serverId, connectionId, token, epoch)
      else drop.run(serverId, connectionId)
      note.run(systemClock.now(), what, serverId, connectionId, token, epoch, Number(was !== (what === 'grant')))
      db.exec('COMMIT')
    } catch (error) {
      db.exec('ROLLBACK')
      throw error
    }
  }
  return {
    grant: async (access) => {
      change('grant', access)
      return { address: `10.7.0.0/${access.connectionId}` }
    },
    revoke: async (access) => change('revoke', access),
    list: async (serverId) => all.all(serverId).map(({ connection }) => ({ connectionId: String(connection), payload: null })),
    check: async ({ serverId, connectionId }) => has.get(serverId, connectionId) !== undefined,
    close: () => db.close(),
  }
}

export interface Reality {
  /** Who has access, by server. */
  readonly grants: ReadonlyMap<string, ReadonlySet<string>>
  readonly ledger: readonly Change[]
}

/** What one region's daemons have, and how it came to be. */
export function readDaemon(path: string): Reality {
  const db = new DatabaseSync(path)
  try {
    db.exec(schema)
    const rows = db.prepare('SELECT server, connection FROM access').all()
    const ledger = db.prepare('SELECT * FROM ledger ORDER BY seq').all() as unknown as Change[]
    const grants = Map.groupBy(rows, ({ server }) => String(server))
    return {
      grants: new Map([...grants].map(([server, of]) => [server, new Set(of.map(({ connection }) => String(connection)))])),
      ledger: ledger.map((one) => ({ ...one, isEffective: Boolean(one.isEffective) })),
    }
  } finally {
    db.close()
  }
}
