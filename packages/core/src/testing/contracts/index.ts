export { type LogExtra, type LogHarness, logSinkContract } from './log.ts'
export { connectionMoverContract, type MoverExtra, type MoverHarness } from './mover.ts'
export { type RegistryExtra, type RegistryHarness, serverRegistryContract } from './registry.ts'
export type { ContractRule, KitOptions, Troubles } from './rule.ts'
