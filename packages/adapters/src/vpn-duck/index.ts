export { type VpnDuck, vpnDuck } from './duck.ts'
export type { Dialect, ForwardOptions, ServerMetrics, VpnDuckOptions, VpnDuckTimeouts, WireGuardOptions } from './options.ts'
