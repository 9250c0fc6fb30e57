import { sqliteStores } from '@pintail/adapters/sqlite'
import type { MigrationStore } from '@pintail/core'

/** What a simulated world may keep its state in. Each begins empty, and lives as long as the world. */
export const storeNames = ['memory', 'sqlite'] as const
export type StoreName = (typeof storeNames)[number]

/** Undefined: the simulator's own, in memory. */
export async function withStore<T>(name: StoreName, use: (store: MigrationStore | undefined) => Promise<T>): Promise<T> {
  if (name === 'memory') return use(undefined)
  await using stores = sqliteStores({ path: ':memory:' })
  return await use(stores.store)
}
