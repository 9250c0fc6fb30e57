import type { WireEvacuation, WireMigration, WirePauseScope } from '@pintail/core/wire'
import type { Trouble } from './trouble.ts'

/**
 * What a person may ask for, with the names that the server's `authorize` knows. `seen` is the record that the person was looking
 * at: if it is in another phase by now, nothing is done, and he is asked again.
 */
export type ActionRequest =
  | { readonly action: 'migrations:approve' | 'migrations:cancel' | 'migrations:retry'; readonly seen: WireMigration }
  | { readonly action: 'evacuations:approve' | 'evacuations:cancel'; readonly seen: WireEvacuation }
  | { readonly action: 'servers:cordon' | 'servers:uncordon'; readonly serverId: string }
  | { readonly action: 'servers:drain'; readonly serverId: string; readonly fingerprint?: string }
  | { readonly action: 'fleet:pause'; readonly scope: WirePauseScope; readonly reason?: string; readonly forMs?: number }
  | { readonly action: 'fleet:resume'; readonly scope: WirePauseScope }
  | { readonly action: 'incidents:acknowledge'; readonly incidentId: string }
  | { readonly action: 'incidents:override-guard'; readonly incidentId: string; readonly forMs?: number }

export type ActionName = ActionRequest['action']

export type Outcome =
  | { readonly ok: true }
  /** It is not any more what the person saw: `now` is what it is. To be asked again. */
  | { readonly ok: false; readonly kind: 'changed'; readonly now: WireMigration | WireEvacuation | null; readonly why: Trouble }
  /** `forbidden`: 403. `signed-out`: 401. `refused`: the server's reason is in `why`. `unreachable`: nothing answered. */
  | { readonly ok: false; readonly kind: 'forbidden' | 'signed-out' | 'refused' | 'unreachable'; readonly why: Trouble }
