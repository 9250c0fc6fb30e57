import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, type LeaseStore, systemClock } from '@pintail/core'
import { leaseStoreContract, migrationStoreContract } from '@pintail/core/testing'
import { test } from 'vitest'
import { patient } from '../../test/patient.ts'
import { shareWithThreads, sqliteThread } from '../../test/sqliteThread.ts'
import { type SqliteStores, type SqliteStoresOptions, sqliteStores } from './index.ts'

/** A folder of its own, and everything on it that has been opened. */
function world(options: Partial<SqliteStoresOptions>, shared?: ReturnType<typeof shareWithThreads>) {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-sqlite-'))
  const place = join(folder, 'place')
  mkdirSync(place)
  const path = join(place, 'state.db')
  const opened: SqliteStores[] = []
  const open = (): SqliteStores => {
    const stores = sqliteStores({ path, ...options })
    opened.push(stores)
    return stores
  }
  return {
    open,
    // A process that ends leaves its file as it is: nothing is closed by a kill.
    restart: open,
    goDown: () => renameSync(place, `${place}-away`),
    ...(shared && { fallSilent: () => shared.hang() }),
    comeBack: () => {
      shared?.goOn()
      if (!existsSync(place)) renameSync(`${place}-away`, place)
    },
    dispose: async () => {
      shared?.goOn()
      await Promise.all(opened.map((one) => one.close()))
      rmSync(folder, { recursive: true })
    },
  }
}

/** The same kits over both: with the file in a thread of its own, and in the caller's. */
const threads = ['its own thread', "the caller's thread"] as const
for (const thread of threads) {
  const isOwn = thread === 'its own thread'
  // In the caller's thread calls are synchronous: there is nothing that could stay away.
  const without = isOwn ? [] : (['fallSilent'] as const)

  const stores = migrationStoreContract(
    () => {
      const shared = isOwn ? shareWithThreads(0) : undefined
      const { open, ...rest } = world({ worker: isOwn && sqliteThread }, shared)
      return { store: open().store, ...rest, another: () => open().store, restart: () => open().store }
    },
    { without, ...patient },
  )
  for (const rule of stores) test(`sqlite in ${thread}: ${rule.name}`, rule.run)

  const leases = leaseStoreContract(
    () => {
      let now = 1e6
      const clock: Clock = { ...systemClock, now: () => now }
      const shared = isOwn ? shareWithThreads(now) : undefined
      const { open, ...rest } = world(isOwn ? { worker: sqliteThread } : { clock }, shared)
      return {
        leases: open().leases,
        ...rest,
        pass: (ms: number) => {
          now += ms
          shared?.pass(ms)
        },
        another: () => open().leases,
        skewed: (byMs: number) => onWrongTime(open().leases, byMs),
        restart: () => open().leases,
      }
    },
    { without, ...patient },
  )
  for (const rule of leases) test(`sqlite in ${thread}: ${rule.name}`, rule.run)
}

/** Its calls, while the time of day is wrong. */
function onWrongTime(inner: LeaseStore, byMs: number): LeaseStore {
  const during = async <T>(call: () => PromiseLike<T>): Promise<T> => {
    const { now } = Date
    Date.now = () => now() + byMs
    try {
      return await call()
    } finally {
      Date.now = now
    }
  }
  return {
    acquire: (...args) => during(() => inner.acquire(...args)),
    renew: (...args) => during(() => inner.renew(...args)),
    release: (...args) => during(() => inner.release(...args)),
  }
}
