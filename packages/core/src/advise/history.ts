import { byOperator } from '../decide/failback.ts'
import type { AdvicePolicy, Evacuation, Migration, MigrationPolicy, PlannedMigration, ServerId } from '../vocabulary.ts'

export type AdviceReason = 'cost-optimization' | 'rebalancing'
export const adviceReasons: readonly AdviceReason[] = ['cost-optimization', 'rebalancing']

/** Made of advice, and by nobody's wish. */
export function isAdvice<T extends Pick<Evacuation, 'triggeredBy' | 'reason'>>(one: T): one is T & { readonly reason: AdviceReason } {
  return one.triggeredBy === 'system' && (adviceReasons as readonly string[]).includes(one.reason)
}

/**
 * Servers that advice leaves alone: those that users have left or come to within the cooldown, so that nobody is moved to and fro,
 * and those of which a person has said no lately.
 */
export function resting(
  history: readonly Migration[],
  { cooldownMs }: Pick<MigrationPolicy, 'cooldownMs'>,
  { declinedMs }: Pick<AdvicePolicy, 'declinedMs'>,
  now: number,
): Set<ServerId> {
  const rest = new Set<ServerId>()
  for (const migration of history) {
    const { completedAt, connectionsMoved, fromServerId, toServerId } = migration
    if (completedAt === null) continue
    if (connectionsMoved > 0 && completedAt + cooldownMs > now) rest.add(fromServerId).add(toServerId)
    if (isAdvice(migration) && isDeclined(migration) && completedAt + declinedMs > now) rest.add(fromServerId)
  }
  return rest
}

/** Cancelled by a person, and not because something has changed. */
export function isDeclined({ status, errorMessage }: Pick<Migration, 'status' | 'errorMessage'>): boolean {
  return status === 'cancelled' && errorMessage === byOperator
}

/** Servers whose users have left last to save money: as long as they are empty they are the host's to give back. */
export function leftForCost(history: readonly Migration[]): Set<ServerId> {
  const last = new Map<ServerId, Migration>()
  for (const migration of history)
    if (migration.connectionsMoved > 0 && migration.createdAt >= (last.get(migration.fromServerId)?.createdAt ?? 0))
      last.set(migration.fromServerId, migration)
  return new Set([...last].flatMap(([id, { reason }]) => (reason === 'cost-optimization' ? id : [])))
}

export interface Savings {
  readonly savingsEurHour: number
  readonly savingsEurMonth: number
}

/** What giving back a server saves, shared out by users among the migrations that empty it: the parts add up to it exactly. */
export function sharesOf({ savingsEurHour, savingsEurMonth }: Savings, parts: readonly Pick<PlannedMigration, 'connections'>[]): Savings[] {
  const all = parts.reduce((sum, { connections }) => sum + connections.length, 0)
  let users = 0
  const upTo = (whole: number, steps: number): number => Math.round((whole * steps * users) / all)
  return parts.map(({ connections }) => {
    const [hour, month] = [upTo(savingsEurHour, 10_000), upTo(savingsEurMonth, 100)]
    users += connections.length
    return { savingsEurHour: (upTo(savingsEurHour, 10_000) - hour) / 10_000, savingsEurMonth: (upTo(savingsEurMonth, 100) - month) / 100 }
  })
}
