import { accessSync, constants, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sqliteStores } from '@pintail/adapters/sqlite'
import { errorText, type LeaseStore, type MigrationStore, memoryStore, PintailError } from '@pintail/core'
import type { Logger } from 'pino'
import { shortName, stateFolder } from './ledger.ts'
import { callMs, connectPostgres } from './postgres.ts'
import type { Resolved } from './settings/resolve.ts'
import type { Settings } from './settings/settings.ts'

export type Env = Readonly<Record<string, string | undefined>>

export interface State extends AsyncDisposable {
  readonly kind: Settings['store']
  readonly store: MigrationStore
  /** Absent: nobody else can lead. */
  readonly leases?: LeaseStore
  /** Nothing has been kept in it yet: what an earlier run did is not in it. */
  readonly isNew: boolean
}

type Opened = Omit<State, 'isNew'>

/**
 * Where the state is kept, as the settings say. Where they say nothing and there is no place for a file, it is in memory.
 * @throws PintailError with a remedy, if that cannot be opened: a service that would forget what it does must not begin
 */
export async function openState(resolved: Resolved, env: Env, logger: Logger): Promise<State> {
  const opened = await openAs(resolved, env, logger)
  try {
    const { lastSeq } = await opened.store.readJournal({ after: 0, limit: 1 }, { signal: new AbortController().signal })
    return { ...opened, isNew: lastSeq === 0 }
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}

async function openAs({ values, sources }: Resolved, env: Env, logger: Logger): Promise<Opened> {
  if (values.store === 'memory') return inMemory(values, logger)
  if (values.store === 'postgres') return openPostgres(values, logger)
  const path = storePathOf(values, env)
  const missing = madeFolder(dirname(path))
  if (missing === null) return openSqlite(path, values, logger)
  const remedy = 'Name a file that it may write in PINTAIL_STORE_PATH, mount a volume there, or set PINTAIL_STORE=memory.'
  const what = `there is no place for ${path}: ${errorText(missing)}`
  if (sources.store !== 'default' || sources.storePath !== 'default')
    throw new PintailError('unavailable', what, { cause: missing, remedy })
  logger.warn({ path, remedy }, `${what}. ${remedy}`)
  return inMemory(values, logger)
}

/** Null: it is there, and may be written. */
export function madeFolder(folder: string): unknown {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    accessSync(folder, constants.W_OK)
    return null
  } catch (error) {
    return error
  }
}

function inMemory({ resume }: Settings, logger: Logger): Opened {
  const left = resume
    ? 'users who are still on a server that is inactive and dead at the start are moved too (PINTAIL_RESUME=off leaves them)'
    : 'and PINTAIL_RESUME=off: users on a server that is inactive at the start are left there'
  logger.info({ store: 'memory' }, `the state is in memory and ends with the process: ${left}`)
  return { kind: 'memory', store: memoryStore({ journalLimit: 100_000 }), [Symbol.asyncDispose]: async () => {} }
}

/** The file of the settings. */
export const storePathOf = ({ storePath, databaseServiceUrl }: Settings, env: Env): string =>
  storePath === 'auto' ? join(stateFolder(env), `state-${shortName(databaseServiceUrl)}.db`) : storePath

async function openSqlite(path: string, { environment }: Settings, logger: Logger): Promise<Opened> {
  const stores = sqliteStores({ path, environment })
  try {
    await stores.open()
  } catch (error) {
    await stores.close()
    throw error
  }
  logger.info({ store: 'sqlite', path }, `the state is in ${path}: what is under way goes on after a restart`)
  if (endsWithContainer(dirname(path))) {
    const remedy = `Mount a volume at ${dirname(path)}, as in deploy/compose.yaml; PINTAIL_STORE=memory says that this is meant.`
    logger.warn({ path, remedy }, `the state is in the container itself, and is gone with it: ${dirname(path)} is no volume. ${remedy}`)
  }
  return { kind: 'sqlite', store: stores.store, leases: stores.leases, [Symbol.asyncDispose]: () => stores.close() }
}

/** Opened for the engine: the tables are there, and are those of this environment. */
async function openPostgres(values: Settings, logger: Logger): Promise<Opened> {
  const place = await connectPostgres(values, logger)
  try {
    if (values.migrate) await place.migrate()
    await place.store.get('word', '-', { signal: AbortSignal.timeout(callMs) })
  } catch (error) {
    await place[Symbol.asyncDispose]()
    throw error
  }
  logger.info({ store: 'postgres', where: place.where }, `the state is in ${place.where}: what is under way goes on after a restart`)
  return { kind: 'postgres', store: place.store, leases: place.leases, [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() }
}

/** Files by which a process knows that it is in a container of Docker or Podman. */
const containerMarks = ['/.dockerenv', '/run/.containerenv']

/** Whether a folder is part of a container's own layer: on the file system of its root, where a volume would be another. */
export function endsWithContainer(folder: string, root = '/', marks: readonly string[] = containerMarks): boolean {
  const of = (path: string) => statSync(path, { throwIfNoEntry: false })
  return marks.some((mark) => of(mark) !== undefined) && of(folder)?.dev === of(root)?.dev
}
