export { type SqliteMigration, sqliteMigrations } from './schema.ts'
export { type SqliteStores, type SqliteStoresOptions, sqliteStores } from './stores.ts'
