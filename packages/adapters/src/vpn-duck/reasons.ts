import type { MigrationReason } from '@pintail/core'

/** Its column is VARCHAR(50). */
const longest = 50

const words: Readonly<Record<MigrationReason, string>> = {
  'server-down': 'server_down',
  degraded: 'server_down',
  rebalancing: 'load_balancing',
  'cost-optimization': 'auto_rebalance',
  failback: 'auto_rebalance',
  maintenance: 'admin_request',
  manual: 'admin_request',
  'user-request': 'user_request',
}

/** Our reason in the words that VPN Duck has used: its statistics know no others. */
export function reasonFor(reason: MigrationReason | null): string {
  return (reason === null ? 'server_down' : (words[reason] ?? reason)).slice(0, longest)
}
