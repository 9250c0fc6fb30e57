import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, type LeaseStore, systemClock } from '@pintail/core'
import { leaseStoreContract, migrationStoreContract } from '@pintail/core/testing'
import { test } from 'vitest'
import { type SqliteStores, sqliteStores } from './index.ts'

/** A folder of its own, and everything on it that has been opened. */
function world(clock?: Clock) {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-sqlite-'))
  const place = join(folder, 'place')
  mkdirSync(place)
  const path = join(place, 'state.db')
  const opened: SqliteStores[] = []
  const open = (): SqliteStores => {
    const stores = sqliteStores({ path, busyTimeoutMs: 200, ...(clock ? { clock } : {}) })
    opened.push(stores)
    return stores
  }
  return {
    open,
    // A process that ends leaves its file as it is: nothing is closed by a kill.
    restart: open,
    goDown: () => renameSync(place, `${place}-away`),
    comeBack: () => renameSync(`${place}-away`, place),
    dispose: async () => {
      await Promise.all(opened.map((one) => one.close()))
      rmSync(folder, { recursive: true })
    },
  }
}

const stores = migrationStoreContract(
  () => {
    const { open, restart, goDown, comeBack, dispose } = world()
    const first = open()
    return { store: first.store, another: () => open().store, restart: () => restart().store, goDown, comeBack, dispose }
  },
  // Its calls are synchronous: there is nothing that could stay away.
  { without: ['fallSilent'] },
)
for (const rule of stores) test(`sqlite: ${rule.name}`, rule.run)

const leases = leaseStoreContract(
  () => {
    let now = 1e6
    const clock: Clock = { ...systemClock, now: () => now }
    const { open, restart, goDown, comeBack, dispose } = world(clock)
    const first = open()
    return {
      leases: first.leases,
      pass: (ms: number) => {
        now += ms
      },
      another: () => open().leases,
      skewed: (byMs: number) => onWrongTime(open().leases, byMs),
      restart: () => restart().leases,
      goDown,
      comeBack,
      dispose,
    }
  },
  { without: ['fallSilent'] },
)
for (const rule of leases) test(`sqlite: ${rule.name}`, rule.run)

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
