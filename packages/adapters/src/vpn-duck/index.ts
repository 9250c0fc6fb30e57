export { type VpnDuck, vpnDuck } from './duck.ts'
export { fileLedger, type MoveLedger, type OwnWord } from './ledger.ts'
export type { Dialect, ForwardOptions, ServerMetrics, VpnDuckOptions, VpnDuckTimeouts, WireGuardOptions } from './options.ts'
