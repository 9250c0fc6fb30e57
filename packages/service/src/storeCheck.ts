import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { sqliteStores } from '@pintail/adapters/sqlite'
import { errorText, isPintailError, type MigrationStore, PintailError, systemClock } from '@pintail/core'
import type { Terminal } from './io.ts'
import { openBooks } from './natsFleet.ts'
import { callMs, connectPostgres } from './postgres.ts'
import { isByNats } from './settings/fleet.ts'
import type { Settings } from './settings/settings.ts'
import { type Env, endsWithContainer, madeFolder, storePathOf } from './store.ts'

/** How a store answers: whether it can be used, and what to do if not. */
export interface StoreReport {
  readonly store: Settings['store']
  readonly where: string
  readonly ok: boolean
  /** Of the journal's newest entry; null: nothing was asked, or nothing was answered. */
  readonly lastSeq: number | null
  /** How long that took, milliseconds. */
  readonly ms: number | null
  readonly note: string | null
  readonly remedy: string | null
}

/** One look at the store that the settings name; nothing is made where nothing is. */
export async function lookAtStore(values: Settings, env: Env): Promise<StoreReport> {
  const about = { store: values.store, lastSeq: null, ms: null, remedy: null }
  if (values.store === 'memory') return { ...about, where: 'memory', ok: true, note: 'ends with the process' }
  if (values.store === 'postgres') {
    await using place = await connectPostgres(values)
    return { ...about, where: place.where, ...(await asked(place.store)) }
  }
  const where = storePathOf(values, env)
  const folder = dirname(where)
  const note = endsWithContainer(folder) ? `${folder} is no volume: it is gone with the container` : null
  if (existsSync(where)) {
    await using stores = sqliteStores({ path: where, environment: values.environment })
    const answer = await asked(stores.store)
    return { ...about, where, ...answer, note: answer.note ?? note }
  }
  const missing = existsSync(folder) ? madeFolder(folder) : null
  if (missing === null)
    return { ...about, where, ok: true, note: ['not there yet: it is made at the start', note].filter((one) => one !== null).join('; ') }
  return { ...about, where, ok: false, note: errorText(missing), remedy: 'Name a file that it may write in PINTAIL_STORE_PATH.' }
}

async function asked(store: MigrationStore): Promise<Omit<StoreReport, 'store' | 'where'>> {
  const begun = systemClock.now()
  try {
    const { lastSeq } = await store.readJournal({ after: 0, limit: 1 }, { signal: AbortSignal.timeout(callMs) })
    return { ok: true, lastSeq, ms: systemClock.now() - begun, note: null, remedy: null }
  } catch (error) {
    const remedy = (isPintailError(error) && error.remedy) || null
    return { ok: false, lastSeq: null, ms: null, note: errorText(error), remedy }
  }
}

export function storeText({ store, where, ok, lastSeq, ms, note, remedy }: StoreReport): string {
  const answered = lastSeq === null ? '' : `: ${lastSeq} entries so far, answered in ${ms?.toFixed(1)} ms`
  return `store ${store} ${where} ${ok ? 'up' : 'down'}${answered}${note ? ` (${note})` : ''}\n${remedy ? `  ${remedy}\n` : ''}`
}

/** Makes the tables, or brings them up to date. @returns 0 */
export async function migrate(values: Settings, env: Env, terminal: Terminal): Promise<number> {
  if (values.store === 'memory') throw new PintailError('invalid_options', 'PINTAIL_STORE=memory has no tables')
  if (values.store === 'postgres') {
    await using place = await connectPostgres(values)
    await place.migrate()
    if (isByNats(values)) {
      await using books = await openBooks(values)
      await books.access.migrate()
    }
    terminal.out(`the tables in ${place.where} are up to date\n`)
    return 0
  }
  const path = storePathOf(values, env)
  const missing = madeFolder(dirname(path))
  if (missing !== null) throw missing
  await using stores = sqliteStores({ path, environment: values.environment })
  await stores.open()
  terminal.out(`the tables in ${path} are up to date\n`)
  return 0
}
