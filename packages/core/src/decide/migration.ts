import type { Migration, MigrationStatus, MoveState } from '../vocabulary.ts'

/** What can happen to a migration. */
export type Trigger = 'approve' | 'schedule' | 'start' | 'prepared' | 'transferred' | 'complete' | 'retry' | 'fail' | 'cancel'

/** Transitions are data: seed 004's diagram, with `retry` going back to `scheduled`. */
export const transitions = {
  suggested: { approve: 'approved', cancel: 'cancelled' },
  approved: { schedule: 'scheduled', cancel: 'cancelled' },
  scheduled: { start: 'preparing', cancel: 'cancelled' },
  preparing: { prepared: 'transferring', retry: 'scheduled', fail: 'failed', cancel: 'cancelled' },
  transferring: { transferred: 'completing', retry: 'scheduled', fail: 'failed', cancel: 'cancelled' },
  completing: { complete: 'completed' },
  completed: {},
  failed: {},
  cancelled: {},
} as const satisfies Record<MigrationStatus, Partial<Record<Trigger, MigrationStatus>>>

/** What a person may ask of a migration in each state; what runs ends by itself or is cancelled. */
const calls: Readonly<Record<MigrationStatus, readonly Call[]>> = {
  suggested: ['approve', 'schedule', 'cancel'],
  approved: ['schedule', 'cancel'],
  scheduled: ['schedule', 'cancel'],
  preparing: ['cancel'],
  transferring: ['cancel'],
  completing: [],
  completed: ['delete'],
  failed: ['retry', 'delete'],
  cancelled: ['retry', 'delete'],
}
/** What follows by itself once a person has said yes. */
export const onApproval: Partial<Record<MigrationStatus, Trigger>> = { suggested: 'approve', approved: 'schedule' }

export type Call = 'approve' | 'schedule' | 'cancel' | 'retry' | 'delete'

/** Why a person cannot ask this of a migration now, and what he could; null: he can. */
export function refuseCall(
  { id, status, cancelledWhy }: Pick<Migration, 'id' | 'status' | 'cancelledWhy'>,
  call: Call,
): { readonly message: string; readonly remedy: string } | null {
  const cancelling = cancelledWhy !== null && !isTerminal(status)
  const allowed = cancelling ? [] : calls[status]
  if (allowed.includes(call)) return null
  const remedy = allowed.length > 0 ? `Allowed now: ${allowed.join(', ')}.` : 'It is about to end by itself.'
  return { message: `migration ${id} is ${cancelling ? 'being cancelled' : status}: it does not take "${call}"`, remedy }
}

/** Its user may still be moved by it: a migration that is retried takes up again what has failed for the time being. */
export function isOpen(state: MoveState): boolean {
  return (
    state.state === 'pending' || state.state === 'moving' || state.state === 'undoing' || (state.state === 'failed' && !state.permanent)
  )
}

export type Stepped =
  | { readonly ok: true; readonly migration: Migration }
  | { readonly ok: false; readonly message: string; readonly allowed: readonly Trigger[] }

/** Terminal: nothing can happen to it any more. */
export function isTerminal(status: MigrationStatus): boolean {
  return Object.keys(transitions[status]).length === 0
}

/** The migration after the trigger with its times set, or a refusal that says what would be allowed. */
export function step(migration: Migration, trigger: Trigger, now: number): Stepped {
  const row: Partial<Record<Trigger, MigrationStatus>> = transitions[migration.status]
  const status = row[trigger]
  if (status === undefined) {
    const allowed = Object.keys(row) as Trigger[]
    const could = allowed.length > 0 ? `allowed now: ${allowed.join(', ')}` : 'it has ended'
    return { ok: false, message: `a ${migration.status} migration cannot take "${trigger}"; ${could}`, allowed }
  }
  return {
    ok: true,
    migration: { ...migration, status, ...stamps(status, trigger, migration, now), version: migration.version + 1 },
  }
}

function stamps(status: MigrationStatus, trigger: Trigger, before: Migration, now: number): Partial<Migration> {
  switch (status) {
    case 'approved':
      return { approvedAt: now }
    case 'scheduled':
      return trigger === 'retry' ? { retryCount: before.retryCount + 1 } : { scheduledAt: now }
    case 'preparing':
      return { startedAt: before.startedAt ?? now, notBefore: null, errorMessage: null }
    case 'completed':
      return { completedAt: now, progress: 100 }
    case 'failed':
    case 'cancelled':
      return { completedAt: now }
    case 'suggested':
    case 'transferring':
    case 'completing':
      return {}
    default:
      return status satisfies never
  }
}

/** Exponential, ± half at random, capped: seed 004 retries without a pause, which hammers a target that struggles. */
export function backoffMs(retry: number, firstMs: number, mostMs: number, random: number): number {
  return Math.round(Math.min(mostMs, firstMs * 2 ** Math.min(retry, 30)) * (0.5 + random))
}
