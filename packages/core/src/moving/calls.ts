import type { Books } from '../books/books.ts'
import type { CallContext, Clock } from '../ports.ts'
import { traced } from '../telling/tracing.ts'
import { callOut } from '../time.ts'
import type { Migration, MigrationId, Move } from '../vocabulary.ts'

const whose = { mover: "the mover's", notifier: "the notifier's" } as const

/** A call for a move or a migration, with the time-out of the policy, told to whoever traces. */
export function callFor<T>(
  { books, clock, killed }: { readonly books: Books; readonly clock: Clock; readonly killed: AbortSignal },
  [port, method]: readonly ['mover' | 'notifier', string],
  of: Move | Migration,
  call: (ctx: CallContext) => PromiseLike<T> | T,
): Promise<T> {
  const move = 'key' in of ? of : null
  // A move's key begins with its migration.
  const migrationId = 'key' in of ? (of.key.slice(0, of.key.indexOf('/')) as MigrationId) : of.id
  const evacuationId = ('evacuationId' in of ? of : books.migrations.get(migrationId))?.evacuationId ?? null
  const told = traced(clock, { port, method, evacuationId, migrationId, move, serverId: 'key' in of ? of.to.id : of.toServerId }, call)
  return callOut(clock, books.policy.migration.timeoutMs, killed, `${whose[port]} ${method}`, told)
}
