import { type ConnectionMover, PintailError, type ServerRegistry } from '@pintail/core'
import type { Database } from './database.ts'

/** The host's own rows as they are: core parses them, and hands them back as `Server` and `Connection`. */
export function createVpn(db: Database): { registry: ServerRegistry; mover: ConnectionMover } {
  const registry: ServerRegistry = {
    listServers: async () => db.servers.map((row) => ({ ...row, load: db.accessOn(row.id).length })),
    listConnections: async ({ rawId }) => db.accessOn(Number(rawId)).map(({ user_id, region }) => ({ id: user_id, region })),
    setServerStatus: async ({ rawId }, status) => db.setStatus(Number(rawId), status),
  }

  const mover: ConnectionMover = {
    // The row is the access here, so that a resolved move is in force; with WireGuard this is the peer on the target.
    confirmation: 'applied',
    async move({ connection, from, to }) {
      const user = String(connection.rawId)
      // One conditional update: the same key twice has one effect, and what the host has changed meanwhile stands.
      if (db.reassign(user, Number(from.rawId), Number(to.rawId))) return
      if (db.accessOf(user)?.server_id === to.rawId) return
      throw new PintailError('rejected', 'this access is gone, or somewhere else by now')
    },
    async locate({ connection, from, to }) {
      const home = db.accessOf(String(connection.rawId))?.server_id
      if (home === to.rawId) return 'on_target'
      return home === from.rawId ? 'on_source' : 'absent'
    },
    async rollback({ connection, from, to }) {
      db.reassign(String(connection.rawId), Number(to.rawId), Number(from.rawId))
    },
  }
  return { registry, mover }
}
