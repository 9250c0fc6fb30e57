export type { WireguardProberOptions } from './options.ts'
export { wireguardProber } from './prober.ts'
