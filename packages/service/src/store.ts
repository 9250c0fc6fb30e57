import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sqliteStores } from '@pintail/adapters/sqlite'
import { type LeaseStore, type MigrationStore, memoryStore } from '@pintail/core'
import type { Logger } from 'pino'
import { shortName, stateFolder } from './ledger.ts'
import type { Settings } from './settings/settings.ts'

export interface State extends AsyncDisposable {
  readonly store: MigrationStore
  /** Absent: nobody else can lead. */
  readonly leases?: LeaseStore
}

/**
 * Where the state is kept, as the settings say.
 * @throws PintailError with a remedy, if that cannot be opened: a service that would forget what it does must not begin
 */
export async function openState(values: Settings, env: Readonly<Record<string, string | undefined>>, logger: Logger): Promise<State> {
  if (values.store === 'memory') return { store: memoryStore({ journalLimit: 100_000 }), [Symbol.asyncDispose]: async () => {} }
  const path = values.storePath === 'auto' ? join(stateFolder(env), `state-${shortName(values.databaseServiceUrl)}.db`) : values.storePath
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const stores = sqliteStores({ path })
  try {
    await stores.open()
  } catch (error) {
    await stores.close()
    throw error
  }
  logger.info({ store: 'sqlite', path }, `the state is in ${path}: what is under way goes on after a restart`)
  return { store: stores.store, leases: stores.leases, [Symbol.asyncDispose]: () => stores.close() }
}
