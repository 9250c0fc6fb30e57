import type { MigrationSums } from '../ports.ts'
import type { MigrationReason, MigrationStats, MigrationStatus } from '../vocabulary.ts'

/** Seed 004's figures, of the sums over all migrations. */
export function migrationStats({ groups, failures }: MigrationSums): MigrationStats {
  const byStatus: Record<MigrationStatus, number> = {
    suggested: 0,
    approved: 0,
    scheduled: 0,
    preparing: 0,
    transferring: 0,
    completing: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
  }
  const failuresByReason: Partial<Record<MigrationReason, number>> = {}
  const sums = { ms: 0, timed: 0, hour: 0, month: 0 }
  for (const { status, reason, count, timed, durationMs, savingsEurHour, savingsEurMonth } of groups) {
    byStatus[status] += count
    if (status === 'failed') failuresByReason[reason] = (failuresByReason[reason] ?? 0) + count
    if (status !== 'completed') continue
    sums.hour += savingsEurHour
    sums.month += savingsEurMonth
    sums.ms += durationMs
    sums.timed += timed
  }
  const ended = byStatus.completed + byStatus.failed
  return {
    total: groups.reduce((total, { count }) => total + count, 0),
    byStatus,
    successRate: ended === 0 ? null : byStatus.completed / ended,
    averageDurationSeconds: sums.timed === 0 ? null : sums.ms / sums.timed / 1000,
    totalSavingsEurHour: cents(sums.hour),
    totalSavingsEurMonth: cents(sums.month),
    failuresByReason,
    failures: failures
      .map(({ error, count }) => ({ error: error ?? 'not known', count }))
      .sort((a, b) => b.count - a.count || (a.error < b.error ? -1 : 1)),
  }
}

/** Sums of decimal fractions are none: 0.1 + 0.2 is told as 0.3. */
const cents = (sum: number): number => Math.round(sum * 1e6) / 1e6
