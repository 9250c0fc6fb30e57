/**
 * `--durable`: two files that outlive the process, as a provider has them. The engine's state is Pintail's own store; the
 * books are the provider's, written before a call of the panel is answered, so that a kill loses no effect.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type SqliteStores, sqliteStores } from '@pintail/adapters/sqlite'
import type { LeaseStore, PintailEvent, ServerStatus } from '@pintail/core'
import type { Access, World } from './world.ts'

/** A killed run cannot give its lease back. One of half a minute, as real fleets want it, is long in a demonstration. */
const leaseMs = 4000

interface Kept {
  readonly homes: readonly Access[]
  readonly grants: readonly (readonly [string, readonly string[]])[]
  readonly statuses: readonly (readonly [string, ServerStatus])[]
  readonly done: readonly string[]
  readonly token: number
  readonly newest: readonly (readonly [string, readonly [number, number]])[]
  readonly dead: readonly string[]
  /** Users on each server before the newest kill. */
  readonly before: readonly (readonly [string, number])[]
}

export class Durable {
  readonly folder: string
  readonly stores: SqliteStores
  readonly leases: LeaseStore
  readonly #books: string

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.folder = join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'pintail-quickstart')
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    this.#books = join(this.folder, 'books.json')
    this.stores = sqliteStores({ path: join(this.folder, 'state.db') })
    const { leases } = this.stores
    this.leases = { ...leases, acquire: (holder, _, ctx) => leases.acquire(holder, leaseMs, ctx) }
  }

  /** Null: nothing is kept yet. */
  load(): Kept | null {
    try {
      return JSON.parse(readFileSync(this.#books, 'utf8')) as Kept
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  /** Whole or not at all: a rename is one step, a write is many. */
  save({ books, alive }: World, before: ReadonlyMap<string, number>): void {
    const kept: Kept = {
      homes: [...books.users.values()],
      grants: [...books.grants].map(([server, users]) => [server, [...users]]),
      statuses: [...books.servers.values()].map(({ id, status }) => [id, status]),
      done: [...books.done],
      token: books.token,
      newest: [...books.newest],
      dead: [...books.servers.keys()].filter((id) => !alive(id)),
      before: [...before],
    }
    writeFileSync(`${this.#books}.new`, JSON.stringify(kept), { mode: 0o600, flush: true })
    renameSync(`${this.#books}.new`, this.#books)
  }

  /** What the run before has told. */
  async *told(): AsyncGenerator<PintailEvent> {
    const ctx = { signal: AbortSignal.timeout(10_000) }
    for (let after = 0; ; ) {
      const { entries } = await this.stores.store.readJournal({ after, limit: 1000 }, ctx)
      if (entries.length === 0) return
      yield* entries as unknown as PintailEvent[]
      after = entries.at(-1)?.seq ?? after
    }
  }
}

/** The books as they were, and the listeners of those who are alive. */
export function restore({ books, kill }: World, kept: Kept): void {
  for (const user of kept.homes) books.users.set(user.id, user)
  for (const [server, users] of kept.grants) books.grants.set(server, new Set(users))
  for (const [id, status] of kept.statuses) {
    const row = books.servers.get(id)
    if (row) row.status = status
  }
  for (const key of kept.done) books.done.add(key)
  books.token = kept.token
  for (const [user, newest] of kept.newest) books.newest.set(user, newest)
  for (const id of kept.dead) kill(id)
}

/** Its books are kept after each call that may have changed them, and before that call is answered. */
export function keeping<T extends object>(port: T, save: () => void): T {
  return Object.fromEntries(
    Object.entries(port).map(([name, value]) => [
      name,
      typeof value !== 'function' || name.startsWith('list') || name === 'locate'
        ? value
        : async (...args: unknown[]) => {
            const answer = await value.apply(port, args)
            save()
            return answer
          },
    ]),
  ) as T
}
