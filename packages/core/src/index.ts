export { createPintail } from './create.ts'
export type { Listener } from './engine/bus.ts'
export type {
  MigrationFilter,
  MigrationPage,
  MigrationRequest,
  PauseOptions,
  PauseTarget,
  Pintail,
} from './engine/pintail.ts'
export { systemClock } from './engine/time.ts'
export type { ErrorCode, PintailErrorOptions, Problem } from './errors.ts'
export { errorText, isPintailError, PintailError } from './errors.ts'
export type { EventDraft, EventType, PintailEvent, PintailEvents, TransientEventType } from './events.ts'
export { memoryLeases } from './memory/leases.ts'
export { type MemoryLog, memoryLog } from './memory/log.ts'
export { memoryMover } from './memory/mover.ts'
export { type MemoryFleet, type MemoryRegistry, memoryRegistry } from './memory/registry.ts'
export { type MemoryStoreOptions, memoryStore } from './memory/store.ts'
export type { PintailOptions } from './options.ts'
export type * from './ports.ts'
export { allOf, anyOf, quorumOf } from './probers/composite.ts'
export { icmp } from './probers/icmp.ts'
export { type TcpOptions, tcp } from './probers/tcp.ts'
export type { ServerRef } from './rows.ts'
export { parseHost } from './rows.ts'
export type * from './vocabulary.ts'
