import { type ConnectionMover, type MigrationStore, PintailError } from '@pintail/core'
import type { FleetOptions } from '@pintail/core/testing'

type Phase = 'prepare' | 'move' | 'complete'

export interface Gate {
  readonly replace: NonNullable<FleetOptions['replace']>
  /** From now on nothing gets through any phase. */
  close(): void
  open(phase: Phase): void
  openAll(): void
  /** From now on every move is refused for good, or none. */
  refuse(all: boolean): void
}

/** Holds a real mover at the door of each phase, so that each state can be looked at. */
export function gate(): Gate {
  const closed = new Map<Phase, { readonly passed: Promise<void>; readonly open: () => void }>()
  let isRefusing = false
  const pass = async (phase: Phase): Promise<void> => closed.get(phase)?.passed
  const open = (phase: Phase): void => {
    closed.get(phase)?.open()
    closed.delete(phase)
  }
  return {
    replace({ mover, store }) {
      const { prepare } = mover
      const gated: ConnectionMover = {
        ...mover,
        async prepare(...args) {
          await pass('prepare')
          return prepare?.apply(mover, args)
        },
        async move(move, context) {
          await pass('move')
          if (isRefusing) throw new PintailError('rejected', 'the panel says no')
          return mover.move(move, context)
        },
      }
      // What comes after the last move waits for nobody outside: it is held on its way into the store. The engine knows of it, and says so
      // to whoever asks; nobody is told of it before it is kept.
      const held: MigrationStore = {
        ...store,
        async commit(batch, context) {
          if (batch.writes.some(({ kind, value }) => kind === 'migration' && value?.status === 'completing')) await pass('complete')
          return store.commit(batch, context)
        },
      }
      return { mover: gated, store: held, policy: { mode: 'suggest', migration: { timeoutMs: 3_600_000 } } }
    },
    close() {
      for (const phase of ['prepare', 'move', 'complete'] as const) {
        const { promise, resolve } = Promise.withResolvers<void>()
        closed.set(phase, { passed: promise, open: resolve })
      }
    },
    open,
    openAll() {
      for (const phase of [...closed.keys()]) open(phase)
    },
    refuse(all) {
      isRefusing = all
    },
  }
}
