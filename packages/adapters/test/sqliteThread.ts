// The thread of `sqliteStores()` as a test needs it: with a clock that the test turns, and which it can stop.

import { getEnvironmentData, parentPort, setEnvironmentData, workerData } from 'node:worker_threads'
import { machineClock, serve } from '../src/sqlite/serve.ts'

const key = 'pintail-test'
const open = 0
const shut = 1
const deadly = 2

/** What test and threads share: the time that they tell, and a gate before which they stand still, as before a disk that hangs. */
class Shared {
  readonly #time: Float64Array
  readonly #gate: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.#time = new Float64Array(buffer, 0, 1)
    this.#gate = new Int32Array(buffer, 8, 1)
  }

  now(): number {
    Atomics.wait(this.#gate, 0, shut)
    if (Atomics.compareExchange(this.#gate, 0, deadly, open) === deadly) process.exit(7)
    return this.#time[0] || machineClock.now()
  }

  pass(ms: number): void {
    this.#time[0] = (this.#time[0] ?? 0) + ms
  }

  hang(): void {
    Atomics.store(this.#gate, 0, shut)
  }

  goOn(): void {
    this.#set(open)
  }

  /** Ends the thread in the middle of what it does now, or else of the next call. */
  die(): void {
    this.#set(deadly)
  }

  #set(state: number): void {
    Atomics.store(this.#gate, 0, state)
    Atomics.notify(this.#gate, 0)
  }
}

/** For the threads that are started from now on. `from` is their time, milliseconds; 0: the machine's. */
export function shareWithThreads(from: number): Shared {
  const memory = new SharedArrayBuffer(16)
  const shared = new Shared(memory)
  shared.pass(from)
  setEnvironmentData(key, memory)
  return shared
}

export const sqliteThread = new URL(import.meta.url)

const buffer = getEnvironmentData(key)
if (parentPort && buffer instanceof SharedArrayBuffer) {
  const shared = new Shared(buffer)
  serve(parentPort, workerData, { ...machineClock, now: () => shared.now() })
}
