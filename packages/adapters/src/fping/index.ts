export { type FpingOptions, fping } from './prober.ts'
