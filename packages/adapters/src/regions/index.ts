export { memoryBook, type WorkerBook } from './book.ts'
export type { WorkerFigures } from './figures.ts'
export type { Access, Desired, HandlerContext, Listed, RegionHandler } from './handler.ts'
export {
  type Command,
  type CommandType,
  comparePairs,
  type DeadLetter,
  encode,
  encodeCommand,
  idempotencyKeyOf,
  limits,
  messageVersion,
  newCommand,
  type Pair,
  parseCommand,
  parseDeadLetter,
  parseEvent,
  parseResult,
  parseSyncPage,
  type Result,
  type ResultStatus,
  type SyncEntry,
  type SyncPage,
  type WorkerEvent,
  type WorkerEventType,
} from './messages.ts'
export { regionMover } from './mover.ts'
export type { MoverFigures } from './moverFigures.ts'
export type { RegionMover, RegionMoverOptions } from './moverOptions.ts'
export type { Delivery, Handled } from './outcomes.ts'
export {
  type Admission,
  admit,
  isExpired,
  type Known,
  type Refusal,
  type ServerMark,
  type SyncFigures,
  type SyncPlan,
  type SyncWorld,
  syncPlan,
  type When,
} from './rules.ts'
export { type SqliteBookOptions, sqliteBook } from './sqliteBook.ts'
export type { SyncReport } from './syncReport.ts'
export type { CommandTransport } from './transport.ts'
export { type RegionWorker, type RegionWorkerOptions, regionWorker } from './worker.ts'
