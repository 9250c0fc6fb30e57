import type { MigrationStore } from '../../ports.ts'
import type { Troubles } from './rule.ts'

/** An empty store that nobody else uses. */
export interface StoreHarness extends Troubles {
  readonly store: MigrationStore
  /** The same data as another process has it, while the first one goes on. */
  another?(): MigrationStore | PromiseLike<MigrationStore>
  /** The process ends without a word, and a new one opens what it has left. */
  restart?(): MigrationStore | PromiseLike<MigrationStore>
}

/** Optional parts: of the store (`prune`, `find`, `sumMigrations`, `post` with `posts`) and of the harness. */
export type StoreExtra = 'prune' | 'find' | 'sumMigrations' | 'post' | 'another' | 'restart' | 'goDown' | 'fallSilent'
