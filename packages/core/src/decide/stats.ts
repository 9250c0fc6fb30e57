import type { Migration, MigrationReason, MigrationStats, MigrationStatus } from '../vocabulary.ts'

/** Texts of failures that are told one by one. */
const mostErrors = 20

/** Seed 004's figures over these migrations. */
export function migrationStats(migrations: readonly Migration[]): MigrationStats {
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
  const errors = new Map<string, number>()
  const sums = { ms: 0, timed: 0, hour: 0, month: 0 }
  for (const { status, reason, startedAt, completedAt, savingsEurHour, savingsEurMonth, errorMessage } of migrations) {
    byStatus[status]++
    if (status === 'failed') {
      failuresByReason[reason] = (failuresByReason[reason] ?? 0) + 1
      const error = errorMessage ?? 'not known'
      errors.set(error, (errors.get(error) ?? 0) + 1)
    }
    if (status !== 'completed') continue
    sums.hour += savingsEurHour ?? 0
    sums.month += savingsEurMonth ?? 0
    if (startedAt === null || completedAt === null) continue
    sums.ms += completedAt - startedAt
    sums.timed++
  }
  const ended = byStatus.completed + byStatus.failed
  return {
    total: migrations.length,
    byStatus,
    successRate: ended === 0 ? null : byStatus.completed / ended,
    averageDurationSeconds: sums.timed === 0 ? null : sums.ms / sums.timed / 1000,
    totalSavingsEurHour: cents(sums.hour),
    totalSavingsEurMonth: cents(sums.month),
    failuresByReason,
    failures: [...errors]
      .map(([error, count]) => ({ error, count }))
      .sort((a, b) => b.count - a.count || (a.error < b.error ? -1 : 1))
      .slice(0, mostErrors),
  }
}

/** Sums of decimal fractions are none: 0.1 + 0.2 is told as 0.3. */
const cents = (sum: number): number => Math.round(sum * 1e6) / 1e6
