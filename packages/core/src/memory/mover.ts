import { PintailError } from '../errors.ts'
import type { ConnectionInput, ConnectionMover, Located } from '../ports.ts'
import type { Connection, Move } from '../vocabulary.ts'
import type { MemoryRegistry } from './registry.ts'

/**
 * Moves connections between the servers of a memory registry: one effect a key, and what is older than the newest call is refused.
 * @param registry where the connections live
 */
export function memoryMover(registry: MemoryRegistry): ConnectionMover {
  const done = new Set<string>()
  let highest = 0
  const newest = new Map<string, Pick<Move, 'fencingToken' | 'epoch'>>()
  /** A late call must not undo what a newer one has done: a newer leader's, or a newer one of the same leader. */
  const admit = ({ connection, fencingToken, epoch }: Move): void => {
    if (fencingToken < highest) throw new PintailError('fenced', `token ${fencingToken} is older than ${highest}`)
    highest = fencingToken
    const seen = newest.get(connection.id)
    if (seen && seen.fencingToken === fencingToken && epoch < seen.epoch)
      throw new PintailError('fenced', `epoch ${epoch} is older than ${seen.epoch}`)
    newest.set(connection.id, { fencingToken, epoch })
  }
  return {
    confirmation: 'applied',
    fencing: 'enforced',
    async move(move) {
      admit(move)
      const home = registry.homeOf(move.connection.id)
      if (home === null) throw new PintailError('rejected', `there is no connection ${move.connection.id}`)
      if (!registry.hasServer(move.to.id)) throw new PintailError('rejected', `there is no server ${move.to.id}`)
      // The host has moved it in the meantime, perhaps back from where this key had brought it: its word stands.
      if (home !== move.to.id && (home !== move.from.id || done.has(move.key))) throw new PintailError('rejected', `it is on ${home} now`)
      if (done.has(move.key)) return
      done.add(move.key)
      registry.assign(rowOf(move.connection), move.to.id)
    },
    async locate(move) {
      return whereIs(registry.homeOf(move.connection.id), move)
    },
    async rollback(move) {
      admit(move)
      if (registry.homeOf(move.connection.id) === move.to.id) registry.assign(rowOf(move.connection), move.from.id)
    },
  }
}

function whereIs(home: string | null, move: Move): Located {
  if (home === move.to.id) return 'on_target'
  return home === move.from.id ? 'on_source' : 'absent'
}

function rowOf({ rawId, ...rest }: Connection): ConnectionInput {
  return { ...rest, id: rawId }
}
