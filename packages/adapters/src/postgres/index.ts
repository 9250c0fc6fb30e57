export type { PgClient, PgPool } from './pool.ts'
export { type PostgresMigration, type PostgresNames, postgresMigrations, schemaSql } from './schema.ts'
export { type PostgresStores, type PostgresStoresOptions, postgresStores } from './stores.ts'
