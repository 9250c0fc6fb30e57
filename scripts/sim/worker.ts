import { registerHooks } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { SimResult } from '@pintail/core/testing'
import { mutants, mutate } from './mutants.ts'
import type { StoreName } from './stores.ts'

/** What a worker is given, and what it answers for each seed. */
export interface WorkerInput {
  readonly mutant: string | null
  readonly store: StoreName
  /** Worlds of plans (`plans.ts`). */
  readonly quiet: boolean
}
export type Job = { readonly seed: number }
export type Answer =
  | { readonly seed: number; readonly result: Omit<SimResult, 'trace' | 'journal'>; readonly ms: number }
  | { readonly seed: number; readonly error: string }

const { mutant: name, store, quiet } = workerData as WorkerInput
const mutant = name === null ? null : (mutants.find((one) => one.name === name) ?? null)
if (name !== null && !mutant) throw new Error(`there is no mutant ${name}`)
if (mutant) {
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context)
      if (!url.endsWith(`/packages/core/src/${mutant.file}`)) return loaded
      return { ...loaded, source: mutate(String(loaded.source), mutant) }
    },
  })
}

// After the hook, so that the engine is loaded through it.
const { historyOf, simulate } = await import('@pintail/core/testing')
const { withStore } = await import('./stores.ts')
const { planHistoryOf } = await import('./plans.ts')
const historyFor = quiet ? planHistoryOf : historyOf

parentPort?.on('message', async ({ seed }: Job) => {
  const begun = performance.now()
  try {
    const { trace: _, journal: __, ...result } = await withStore(store, (one) => simulate(historyFor(seed), false, one))
    parentPort?.postMessage({ seed, result, ms: performance.now() - begun } satisfies Answer)
  } catch (error) {
    parentPort?.postMessage({ seed, error: String(error instanceof Error ? error.stack : error) } satisfies Answer)
  }
})
