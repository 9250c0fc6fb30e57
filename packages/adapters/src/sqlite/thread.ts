import { Worker } from 'node:worker_threads'
import { errorText, PintailError } from '@pintail/core'
import { type CallName, isRead } from './calls.ts'
import type { DatabaseOptions } from './database.ts'
import { fromPlain, type Reply, type Request } from './serve.ts'

/** How long a thread may take to close, milliseconds: a disk that hangs holds it. */
const closeMs = 10_000

interface Waiting {
  readonly name: CallName
  readonly settle: (result: unknown) => void
  readonly fail: (error: PintailError) => void
}

interface Running {
  readonly worker: Worker
  readonly waiting: Map<number, Waiting>
  readonly ended: Promise<void>
  /** Its program is loaded: a call may have had an effect. */
  isReady: boolean
  fault: unknown
}

/**
 * The file in a thread of its own, because the disk holds whoever commits. It is started with the first call, and again
 * with the next one after it has died; it keeps no process alive that has nothing to ask.
 */
export class Thread {
  readonly #options: Omit<DatabaseOptions, 'clock'>
  readonly #program: URL | string
  #running: Running | null = null
  #next = 0
  #closing: Promise<void> | null = null

  constructor(program: URL | string, options: Omit<DatabaseOptions, 'clock'>) {
    this.#program = program
    this.#options = options
  }

  /** Who aborts is free at once. Whether a write had an effect is then not known. */
  ask(name: CallName, args: readonly unknown[], signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closing) throw new PintailError('stopped', `${this.#options.path} has been closed`)
      if (signal.aborted) throw aborted(signal)
      const running = this.#start()
      const { worker, waiting } = running
      const id = ++this.#next
      const end = (): void => {
        signal.removeEventListener('abort', stop)
        waiting.delete(id)
        if (waiting.size === 0) worker.unref()
      }
      const stop = (): void => {
        end()
        post(worker, [id])
        reject(aborted(signal))
      }
      if (waiting.size === 0) worker.ref()
      const settle: Waiting['settle'] = (result) => {
        end()
        resolve(result)
      }
      const fail: Waiting['fail'] = (error) => {
        end()
        reject(error)
      }
      waiting.set(id, { name, settle, fail })
      signal.addEventListener('abort', stop, { once: true })
      post(worker, [id, name, args])
    })
  }

  /** What was asked before is answered; then the thread is gone. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (!this.#running) return
    const { worker, ended } = this.#running
    worker.ref()
    post(worker, 'close')
    const bound = setTimeout(() => void worker.terminate(), closeMs)
    await ended
    clearTimeout(bound)
  }

  #start(): Running {
    if (this.#running) return this.#running
    const worker = this.#worker()
    const waiting: Running['waiting'] = new Map()
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    const running: Running = { worker, waiting, ended, isReady: false, fault: null }
    this.#running = running
    worker.unref()
    worker.on('message', (reply: Reply) => {
      if (reply === 'ready') running.isReady = true
      else if (reply.length === 2) waiting.get(reply[0])?.settle(reply[1])
      else waiting.get(reply[0])?.fail(fromPlain(reply[2]))
    })
    worker.on('error', (error) => {
      running.fault = error
    })
    worker.once('exit', (code) => {
      if (this.#running === running) this.#running = null
      for (const { name, fail } of [...waiting.values()]) fail(this.#died(running, name, code))
    })
    return running
  }

  #worker(): Worker {
    // Sources are run as they are; the packages that they import are then taken from their sources too.
    const isSource = String(this.#program).endsWith('.ts')
    const execArgv = isSource ? { execArgv: ['--conditions=@pintail/source', '--disable-warning=ExperimentalWarning'] } : {}
    try {
      return new Worker(this.#program, { name: 'pintail-sqlite', workerData: this.#options, ...execArgv })
    } catch (error) {
      throw this.#unsupported(error)
    }
  }

  /** A write that it took with it may be in the file or not: the same batch comes again. */
  #died({ isReady, fault }: Running, name: CallName, code: number): PintailError {
    if (!isReady && fault) return this.#unsupported(fault)
    const why = fault ? errorText(fault) : `exit code ${code}`
    const remedy = 'The next call starts it again. If it dies again and again, look for what ends it: memory limits, a damaged disk.'
    const lost = isReady && !isRead(name)
    const what = `${this.#options.path}: its thread has died (${why})${lost ? '; whether this was written is not known' : ''}`
    return new PintailError(lost ? 'internal' : 'unavailable', what, { cause: fault, remedy })
  }

  #unsupported(fault: unknown): PintailError {
    return new PintailError('unsupported', `the thread for ${this.#options.path} cannot be started: ${errorText(fault)}`, {
      cause: fault,
      remedy:
        'If a bundler made this program, keep @pintail/adapters external, or name its file @pintail/adapters/sqlite/worker in `worker`; `worker: false` needs no thread.',
    })
  }
}

const post = (worker: Worker, request: Request): void => worker.postMessage(request)

function aborted(signal: AbortSignal): PintailError {
  return new PintailError('aborted', 'given up before it was done', { cause: signal.reason })
}
