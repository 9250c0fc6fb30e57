export {
  type AccessBook,
  type AccessBooks,
  type AccessRow,
  type AccessServer,
  type AccessView,
  type HomeChange,
  type HomeOutcome,
  keptKeys,
  type Want,
  type WantOutcome,
} from './book.ts'
export { memoryAccess } from './memory.ts'
export { type PostgresAccess, type PostgresAccessOptions, postgresAccess } from './postgres.ts'
export { accessMigrations, accessSchemaSql } from './schema.ts'
