import type { LeaseStore, Token } from '@pintail/core'
import type { Ask } from './calls.ts'

/** One lease for the processes of one machine, by the clock that they share. */
export function leasesOf(ask: Ask): LeaseStore {
  return {
    acquire: async (holder, ttlMs, { signal }) => {
      const token = await ask('acquire', [holder, ttlMs], signal)
      return token === null ? null : { token: token as Token, holder, ttlMs }
    },
    renew: ({ token, holder, ttlMs }, { signal }) => ask('renew', [token, holder, ttlMs], signal),
    release: ({ token, holder }, { signal }) => ask('release', [token, holder], signal),
  }
}
