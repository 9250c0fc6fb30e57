export { type VpnDuck, vpnDuck } from './duck.ts'
export type { ForwardOptions, ServerMetrics } from './metrics.ts'
export type { VpnDuckOptions, VpnDuckTimeouts, WireGuardOptions } from './options.ts'
export type { Dialect } from './rows.ts'
