import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type FaultKind, faultKinds, type Phase, phases, type SimResult, type Violation } from '@pintail/core/testing'
import type { StoreName } from './stores.ts'
import type { Answer, Job, WorkerInput } from './worker.ts'

export interface CampaignOptions {
  readonly from: number
  readonly seeds: number
  /** Only worlds that begin with this kind of fault. Default: of any kind. */
  readonly kind?: FaultKind
  /** Worlds in which nothing goes wrong, but between a plan and its execution. */
  readonly quiet?: boolean
  /** Worlds with workers and a broker instead of a panel. */
  readonly broker?: boolean
  readonly mutant?: string | null
  /** Default: in memory. */
  readonly store?: StoreName
  /** Default: one for each processor. */
  readonly workers?: number
  /** Ends at the first seed that breaks. */
  readonly untilBroken?: boolean
  readonly progress?: (done: number, broken: number) => void
  /** Each seed that breaks, when it has: a long campaign needs not be waited for. */
  readonly onBroken?: (seed: number, violations: readonly Violation[]) => void
}

export interface Campaign {
  readonly seeds: number
  readonly steps: number
  readonly moves: number
  readonly crashes: number
  /** Evacuations that were made of advice. */
  readonly advised: number
  readonly plans: SimResult['plans']
  readonly virtualMs: number
  readonly wallMs: number
  /** Faults that struck, by kind and phase. */
  readonly struck: ReadonlyMap<FaultKind, ReadonlyMap<Phase, number>>
  readonly broken: readonly { readonly seed: number; readonly violations: readonly Violation[] }[]
  /** Seeds in which the simulator itself failed. */
  readonly errors: readonly { readonly seed: number; readonly error: string }[]
}

/** Share of faults × phases that were met. */
export function coverageOf({ struck }: Pick<Campaign, 'struck'>): { readonly share: number; readonly missing: readonly string[] } {
  const missing = faultKinds.flatMap((kind) => phases.flatMap((phase) => (struck.get(kind)?.get(phase) ? [] : `${kind} × ${phase}`)))
  const cells = faultKinds.length * phases.length
  return { share: (cells - missing.length) / cells, missing }
}

/** The world of this number, among those that begin with a kind of fault: seeds begin with one kind after the other. */
function seedOf(number: number, kind: FaultKind | undefined): number {
  return kind === undefined ? number : number * faultKinds.length + faultKinds.indexOf(kind)
}

/** Runs many seeds on all processors. Seeds are handed out one by one, so that no worker waits for a long one. */
export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const {
    from,
    seeds,
    kind,
    quiet = false,
    broker = false,
    mutant = null,
    store = 'memory',
    workers = Math.min(availableParallelism(), seeds),
    untilBroken = false,
    progress = () => {},
    onBroken = () => {},
  } = options
  const begun = performance.now()
  const total = { steps: 0, moves: 0, crashes: 0, advised: 0, virtualMs: 0 }
  const plans = { executed: 0, settled: 0, refused: 0 }
  const struck = new Map<FaultKind, Map<Phase, number>>()
  const broken: { seed: number; violations: readonly Violation[] }[] = []
  const errors: { seed: number; error: string }[] = []
  let next = from
  let done = 0
  let stop = false
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { mutant, store, quiet, broker } satisfies WorkerInput,
    })
    let answered: (answer: Answer) => void = () => {}
    let failed: (error: unknown) => void = () => {}
    worker.on('message', (answer: Answer) => answered(answer))
    worker.on('error', (error) => failed(error))
    worker.on('exit', (code) => failed(new Error(`a worker has ended with ${code}`)))
    try {
      while (next < from + seeds && !stop) {
        const seed = seedOf(next++, kind)
        const answer = await new Promise<Answer>((resolve, reject) => {
          answered = resolve
          failed = reject
          worker.postMessage({ seed } satisfies Job)
        })
        done++
        if ('error' in answer) errors.push(answer)
        else {
          const { result } = answer
          total.steps += result.steps
          total.moves += result.moves
          total.crashes += result.crashes
          total.advised += result.advised
          for (const key of ['executed', 'settled', 'refused'] as const) plans[key] += result.plans[key]
          total.virtualMs += result.virtualMs
          for (const { kind, phase } of result.struck) {
            const row = struck.get(kind) ?? new Map<Phase, number>()
            struck.set(kind, row)
            row.set(phase, (row.get(phase) ?? 0) + 1)
          }
          if (result.violations.length > 0) {
            broken.push({ seed, violations: result.violations })
            onBroken(seed, result.violations)
          }
        }
        if (untilBroken && broken.length > 0) stop = true
        progress(done, broken.length)
      }
    } finally {
      await worker.terminate()
    }
  }
  await Promise.all(Array.from({ length: workers }, work))
  broken.sort((a, b) => a.seed - b.seed)
  return { seeds: done, ...total, plans, wallMs: performance.now() - begun, struck, broken, errors }
}
