export type { Fault, FaultKind, Faults } from './faults.ts'
export { type Call, createDatabaseService, type DatabaseService, type DatabaseServiceOptions } from './service.ts'
export type {
  ConfigurationRow,
  MetricRow,
  MigrationRow,
  ServerRow,
  SessionRow,
  StandInServer,
  StandInUser,
  Tables,
} from './tables.ts'
export { createWireGuardService, type WireGuardService, type WireGuardServiceOptions } from './wireguard.ts'
