import { registerHooks } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { MigrationStore } from '@pintail/core'
import type { SimResult } from '@pintail/core/testing'
import { brokerMutants } from './broker/mutants.ts'
import { mutants, mutate } from './mutants.ts'
import type { StoreName } from './stores.ts'

/** What a worker is given, and what it answers for each seed. */
export interface WorkerInput {
  readonly mutant: string | null
  readonly store: StoreName
  /** Worlds of plans (`plans.ts`). */
  readonly quiet: boolean
  /** Worlds with workers and a broker instead of a panel (`broker/`). */
  readonly broker: boolean
}
export type Job = { readonly seed: number }
export type Answer =
  | { readonly seed: number; readonly result: Omit<SimResult, 'trace' | 'journal'>; readonly ms: number }
  | { readonly seed: number; readonly error: string }

const { mutant: name, store, quiet, broker } = workerData as WorkerInput
const mutant = name === null ? null : (mutants.find((one) => one.name === name) ?? null)
const brokerMutant = brokerMutants.find((one) => one.name === name)?.name ?? null
if (name !== null && !mutant && !brokerMutant) throw new Error(`there is no mutant ${name}`)
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
const { brokerHistoryOf, simulateBroker } = await import('./broker/simulate.ts')
const historyFor = broker ? brokerHistoryOf : quiet ? planHistoryOf : historyOf
const run = (seed: number, kept: MigrationStore | undefined): Promise<SimResult> =>
  broker ? simulateBroker(historyFor(seed), false, kept, brokerMutant) : simulate(historyFor(seed), false, kept)

parentPort?.on('message', async ({ seed }: Job) => {
  const begun = performance.now()
  try {
    const { trace: _, journal: __, ...result } = await withStore(store, (one) => run(seed, one))
    parentPort?.postMessage({ seed, result, ms: performance.now() - begun } satisfies Answer)
  } catch (error) {
    parentPort?.postMessage({ seed, error: String(error instanceof Error ? error.stack : error) } satisfies Answer)
  }
})
