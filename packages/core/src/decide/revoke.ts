import type { ConnectionId, MigrationId, Move, PendingRevoke } from '../vocabulary.ts'

/** A new obligation; its version is set when it is kept. */
export function newRevoke(
  migrationId: MigrationId,
  effect: 'complete' | 'rollback',
  move: Move,
  now: number,
  dueAt: number,
  more: Partial<Pick<PendingRevoke, 'tries' | 'lastError' | 'wasTold' | 'version'>> = {},
): PendingRevoke {
  const serverId = effect === 'complete' ? move.from.id : move.to.id
  // The same move can owe both in the end: a taking-back that failed, and the old grant when it was moved after all.
  const id = effect === 'complete' ? move.key : `${move.key}/rollback`
  return { id, migrationId, effect, serverId, move, createdAt: now, dueAt, tries: 0, lastError: null, version: 1, ...more }
}

/**
 * What to do about an obligation now.
 *
 * `complete` is owed unless the user is back on the source by the mover's word: then that grant is his home.
 * `rollback` takes a grant off a target, and must never take the only one (I1). So nobody is taken off it while a move
 * of his is under way, or before the server where he belongs is known to live. If that is dead, he stays: on the target
 * alone he has his home there now, by the host's own word, and nothing is owed any more. Who is not there owes nothing.
 * @param located null: the mover cannot tell, or was not asked
 * @param homeLives whether the server lives where the user belongs by our books; null: that is not known yet
 */
export function whatIsOwed(
  effect: 'complete' | 'rollback',
  located: 'on_target' | 'on_source' | 'on_both' | 'absent' | null,
  homeLives: boolean | null,
): 'take_back' | 'nothing' | 'wait' {
  if (effect === 'complete') return located === 'on_source' ? 'nothing' : 'take_back'
  if (located === 'on_source' || located === 'absent') return 'nothing'
  if (homeLives) return 'take_back'
  return homeLives === false && located === 'on_target' ? 'nothing' : 'wait'
}

/**
 * An obligation after its user was moved. Where he is now, nothing is taken back any more (null). What is owed on the
 * server that he has left is taken back by the completion of that move, where there is one. Every other rollback goes
 * on, and brings him to his new home if it finds him.
 */
export function afterMove(revoke: PendingRevoke, { from, to }: Move, completes: boolean): PendingRevoke | null {
  if (revoke.serverId === to.id) return null
  if (revoke.effect !== 'rollback') return revoke
  // He was there after all: what he has left where he came from is owed now, and the completion sees to this server.
  if (revoke.serverId === from.id && completes)
    return revoke.move.from.id === to.id
      ? null
      : { ...revoke, effect: 'complete', serverId: revoke.move.from.id, version: revoke.version + 1 }
  return { ...revoke, move: { ...revoke.move, from: to }, version: revoke.version + 1 }
}

/** The move the other way, for telling a user that he stays where he was. */
export function homeward(move: Move): Move {
  return { ...move, key: `${move.key}/undo`, from: move.to, to: move.from }
}

/** The warning about users who do not know where they are now; none: an empty list. */
export function untold(users: readonly ConnectionId[]): string[] {
  if (users.length === 0) return []
  return [`${users.length} user${users.length === 1 ? '' : 's'} could not be told where to find the new server`]
}
