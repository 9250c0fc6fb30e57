// An engine whose file fails in the middle of an evacuation: a real lock, a real disk without room, a thread that hangs.

import { spawnSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createPintail, memoryMover, memoryRegistry } from '@pintail/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { shareWithThreads, sqliteThread } from '../../test/sqliteThread.ts'
import { evacuateThrough } from '../../test/trouble.ts'
import { until } from '../../test/until.ts'
import { type SqliteStores, sqliteStores } from './index.ts'

let folder: string
let path: string
const opened: SqliteStores[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pintail-sqlite-'))
  path = join(folder, 'state.db')
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
  rmSync(folder, { recursive: true })
})
function open(options: Partial<Parameters<typeof sqliteStores>[0]> = {}): SqliteStores {
  const stores = sqliteStores({ path, busyTimeoutMs: 50, ...options })
  opened.push(stores)
  return stores
}

test('while another process holds a lock on the file nobody is moved; then the evacuation goes on', async () => {
  const { store, leases } = open()
  let other: DatabaseSync
  await evacuateThrough({
    store,
    leases,
    begin: async () => {
      other = new DatabaseSync(path)
      other.exec('PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE')
    },
    end: () => other.close(),
  })
}, 120_000)

test('while a store answers after its time-out nobody is moved; its late answer counts once', async () => {
  const shared = shareWithThreads(0)
  const { store, leases } = open({ worker: sqliteThread })
  await evacuateThrough({ store, leases, begin: () => shared.hang(), end: () => shared.goOn() })
}, 120_000)

/** A file system of two megabytes in memory; null: this process may not mount one. */
function smallDisk(): { readonly place: string; readonly remove: () => void } | null {
  const place = mkdtempSync(join(tmpdir(), 'pintail-disk-'))
  const remove = (): void => {
    spawnSync('umount', ['-l', place])
    rmSync(place, { recursive: true, force: true })
  }
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', place]).status === 0) return { place, remove }
  rmSync(place, { recursive: true })
  return null
}

/** Page by page, because others write to the disk meanwhile, until there is no room for one more. */
function fill(place: string, filler: string): void {
  const page = Buffer.alloc(statfsSync(place).bsize)
  const file = openSync(filler, 'w')
  try {
    while (writeSync(file, page) === page.length);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
}
const probe = smallDisk()
probe?.remove()

test.skipIf(probe === null)(
  'while the disk is full nobody is moved; when there is room again the evacuation goes on [needs: root, to mount a small disk]',
  async () => {
    const disk = smallDisk()
    if (!disk) throw new Error('it could be mounted a moment ago')
    const { place, remove } = disk
    const stores = open({ path: join(place, 'state.db') })
    const filler = join(place, 'filler')
    try {
      await evacuateThrough({
        ...stores,
        begin: () => fill(place, filler),
        end: () => rmSync(filler),
      })
    } finally {
      await stores.close()
      remove()
    }
  },
  120_000,
)

test('over a damaged file an engine does not lead and says so; when a copy is in its place it leads', async () => {
  const first = open()
  await first.open()
  await first.close()
  const copy = join(folder, 'copy.db')
  copyFileSync(path, copy)
  const bytes = readFileSync(path)
  bytes.fill(0xaa, 4096)
  writeFileSync(path, bytes)
  const registry = memoryRegistry({ servers: [{ id: 's1', host: '192.0.2.1' }], connections: {} })
  const { store, leases } = open()
  const probers = [{ name: 'static', probe: async () => ({ sent: 1, received: 1, rttMs: [1] }) }]
  const pintail = createPintail({ registry, mover: memoryMover(registry), probers, store, leases })
  const warned = new Promise<string>((resolve) => void pintail.on('warning', ({ message }) => resolve(message)))
  await pintail.start()
  try {
    expect(await warned).toMatch(/cannot lead: .*damaged/)
    expect(pintail.status().state).toBe('standby')
    for (const ending of ['-wal', '-shm']) rmSync(`${path}${ending}`, { force: true })
    copyFileSync(copy, path)
    await until('it leads', () => pintail.status().state === 'leading')
  } finally {
    await pintail.stop()
  }
}, 120_000)

test('over a folder that is not there an engine does not lead, and leads when it is', async () => {
  const { store, leases } = open({ path: join(folder, 'later', 'state.db') })
  const registry = memoryRegistry({ servers: [{ id: 's1', host: '192.0.2.1' }], connections: {} })
  const probers = [{ name: 'static', probe: async () => ({ sent: 1, received: 1, rttMs: [1] }) }]
  const pintail = createPintail({ registry, mover: memoryMover(registry), probers, store, leases })
  const warned = new Promise<string>((resolve) => void pintail.on('warning', ({ message }) => resolve(message)))
  await pintail.start()
  try {
    expect(await warned).toMatch(/cannot lead: .*cannot be opened/)
    mkdirSync(join(folder, 'later'))
    await until('it leads', () => pintail.status().state === 'leading')
  } finally {
    await pintail.stop()
  }
}, 120_000)
