/**
 * What a host writes to use Pintail: a registry and a mover over its own books. This is the file to copy: replace the
 * books by your database and `panel` by the API of your VPN panel.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type ConnectionMover, type Move, PintailError, type ServerRegistry } from '@pintail/core'
import type { Books } from './world.ts'

/** Rows as they are: ids, hosts, capacities; Pintail parses them. */
export function registryOf(books: Books): ServerRegistry {
  return {
    async listServers() {
      return [...books.servers.values()].map((server) => ({ ...server, load: books.homes(server.id).length }))
    },
    async listConnections({ id }) {
      return books.homes(id).map(({ id, region, needs }) => ({ id, region, needs }))
    },
    async setServerStatus({ id }, status) {
      const row = books.servers.get(id)
      if (!row) throw new PintailError('rejected', `there is no server ${id}`)
      row.status = status
    },
  }
}

/** @param isAlive whether a server takes orders: a panel cannot tell a dead one anything */
export function moverOf(books: Books, isAlive: (server: string) => boolean): ConnectionMover {
  /** One call of the panel: 40 to 120 ms, like a request to another continent. */
  const panel = async (server: string, signal: AbortSignal): Promise<void> => {
    await pause(40 + Math.random() * 80, undefined, { signal })
    // Nothing has happened, and it may be tried again: that is what `unavailable` promises.
    if (!isAlive(server)) throw new PintailError('unavailable', `${server} takes no orders`)
  }
  /** What is older than the newest call for a user is refused, whatever has held it up: a late grant must not undo its own rollback. */
  const admit = ({ connection, fencingToken, epoch }: Move): void => {
    if (fencingToken < books.token) throw new PintailError('fenced', `token ${fencingToken} is older than ${books.token}`)
    books.token = fencingToken
    const [token, newest] = books.newest.get(connection.id) ?? [0, 0]
    if (fencingToken === token && epoch < newest) throw new PintailError('fenced', `epoch ${epoch} is older than ${newest}`)
    books.newest.set(connection.id, [fencingToken, epoch])
  }
  const capacityOf = (server: string): number => books.servers.get(server)?.capacity ?? 0
  return {
    confirmation: 'applied',
    fencing: 'enforced',

    async move(move, { signal }) {
      const { connection, from, to, key } = move
      await panel(to.id, signal)
      admit(move)
      const user = books.users.get(connection.id)
      // What is refused for good is `rejected`: asking again would change nothing.
      if (!user) throw new PintailError('rejected', `there is no ${connection.id} any more`)
      // The same call again has no second effect. Nor has it one if the host has moved the user since.
      if (books.done.has(key) && user.home === to.id) return
      if (books.done.has(key) || user.home !== from.id) throw new PintailError('rejected', `${user.id} is on ${user.home} by now`)
      if (books.homes(to.id).length >= capacityOf(to.id)) throw new PintailError('rejected', `${to.id} is full`)
      // One transaction in a database: the access on the target, the new home, the key.
      books.grantsOn(to.id).add(user.id)
      user.home = to.id
      books.done.add(key)
    },

    async complete({ connection, from }, { signal }) {
      await panel(from.id, signal)
      if (books.users.get(connection.id)?.home !== from.id) books.grantsOn(from.id).delete(connection.id)
    },

    async locate({ connection, from, to }) {
      const home = books.users.get(connection.id)?.home
      return home === to.id ? 'on_target' : home === from.id ? 'on_source' : 'absent'
    },

    async rollback(move, { signal }) {
      const { connection, from, to, key } = move
      await panel(to.id, signal)
      admit(move)
      const user = books.users.get(connection.id)
      if (!books.done.has(key) || user?.home !== to.id) return
      books.grantsOn(to.id).delete(user.id)
      user.home = from.id
    },
  }
}
