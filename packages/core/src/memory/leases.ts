import type { Clock, Lease, LeaseStore } from '../ports.ts'
import type { Token } from '../vocabulary.ts'

/** One lease in memory, for one process or for tests with several engines. */
export function memoryLeases(clock: Pick<Clock, 'now'> = Date): LeaseStore {
  let held: { readonly lease: Lease; until: number } | null = null
  let token = 0
  const isHeld = (lease: Lease): boolean => held?.lease.token === lease.token && held.until > clock.now()
  return {
    async acquire(holder, ttlMs) {
      if (held && held.until > clock.now()) return null
      const lease = { token: ++token as Token, holder, ttlMs }
      held = { lease, until: clock.now() + ttlMs }
      return lease
    },
    async renew(lease) {
      if (!held || !isHeld(lease)) return false
      held.until = clock.now() + lease.ttlMs
      return true
    },
    async release(lease) {
      if (held?.lease.token === lease.token) held = null
    },
  }
}
