import type { NatsConnection } from '@nats-io/nats-core'
import { type CallContext, type Clock, type Connection, type Move, PintailError, type Server, systemClock, type Token } from '@pintail/core'
import { type AccessBook, type AccessBooks, memoryAccess } from '../src/access/index.ts'
import { type NatsMover, type NatsMoverOptions, natsMover, type RunningWorker, runRegionWorker, setUpNats } from '../src/nats/index.ts'
import { memoryBook, type WorkerBook } from '../src/regions/index.ts'
import type { NatsServer } from './nats.ts'
import { type FakeServers, fakeServers } from './region.ts'
import { type Relay, relayTo } from './relay.ts'

/** Books that can be away, or do what they are asked and not answer. */
export function troubled(book: AccessBooks): AccessBooks & { turn(state: 'up' | 'down' | 'silent'): void } {
  let state: 'up' | 'down' | 'silent' = 'up'
  const wrapped = { ...book } as Record<string, unknown>
  for (const name of ['look', 'want', 'setHome', 'forget', 'rowsOn', 'servers', 'fence'] as const) {
    const call = book[name] as (...args: unknown[]) => PromiseLike<unknown>
    wrapped[name] = async (...args: unknown[]) => {
      if (state === 'down') throw new PintailError('unavailable', 'the books are away')
      const answer = await call(...args)
      if (state === 'silent') await fired(args.at(-1) as CallContext)
      return answer
    }
  }
  return Object.assign(wrapped as unknown as AccessBooks, {
    turn: (next: typeof state) => {
      state = next
    },
  })
}

const fired = ({ signal }: CallContext): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(new Error('no answer'))
    else signal.addEventListener('abort', () => reject(new Error('no answer')), { once: true })
  })

export interface RegionFleet extends AsyncDisposable {
  readonly book: ReturnType<typeof troubled>
  readonly mover: NatsMover
  readonly handler: FakeServers
  readonly nats: NatsConnection
  /** Between the mover and the broker. */
  readonly relay: Relay
  readonly prefix: string
  worker(): RunningWorker
  /** Ends the worker of the region; `again` starts it, with its book or an empty one. */
  stopWorker(): Promise<void>
  startWorker(book?: WorkerBook): Promise<void>
  grantsOf(connection: string): readonly string[]
  mend(): Promise<void>
}

export const servers = ['s1', 's2', 's3'].map((id, index) => ({ id, host: `192.0.2.${index + 1}`, region: 'de', capacity: 100 }))
export const users = ['a', 'b', 'c', 'd', 'refused']

let fleets = 0

/** How long an answer is waited for while there is no worker, milliseconds: there is none, and nobody need wait for that. */
const awayMs = 300
const patienceMs = 60_000

/**
 * Three servers of one region with a real worker over a real broker, the host's books, and a mover over both. The mover waits for answers as
 * long as a busy machine may need, unless the worker was stopped: then it gives up soon. With a `clock` of its own it waits as its options say.
 */
export async function regionFleet(
  server: NatsServer,
  { options = {}, book = memoryAccess() }: { options?: Partial<NatsMoverOptions>; book?: AccessBooks } = {},
): Promise<RegionFleet> {
  const prefix = `f${++fleets}`
  let worker: RunningWorker | null = null
  // Pauses of its schedule of syncs are its own.
  const isPause = (ms: number): boolean => options.leads !== undefined && ms <= 1000
  const clock: Clock = {
    ...systemClock,
    setTimeout: (act, ms) =>
      systemClock.setTimeout(act, isPause(ms) ? ms : worker === null ? Math.min(ms, awayMs) : Math.max(ms, patienceMs)),
  }
  const relay = await relayTo(server.port)
  const workerNats = await server.connect()
  await setUpNats(workerNats, { prefix })
  const nats = await server.connect({ servers: `127.0.0.1:${relay.port}` })
  const handler = fakeServers()
  const books = troubled(book)
  for (const one of servers) await book.putServer(one)
  for (const id of users) {
    await book.assign({ id, userId: `u-${id}` }, 's1', { key: `k-${id}` })
    handler.granted.set(`s1/${id}`, { key: `k-${id}` })
  }
  handler.before = (what, { connectionId }) => {
    if (what === 'grant' && connectionId === 'refused') throw new PintailError('rejected', 'not him')
  }
  let kept: WorkerBook = memoryBook()
  const startWorker = async (other: WorkerBook = kept): Promise<void> => {
    kept = other
    worker = await runRegionWorker({ nats: workerNats, prefix, region: 'de', handler, book: kept })
  }
  await startWorker()
  // The broker has its word that it has started: the mover does not hear of it.
  await workerNats.flush()
  const patient = { clock, timeoutMs: patienceMs, publishTimeoutMs: patienceMs }
  const mover = natsMover({ nats, prefix, access: books as AccessBook, ...patient, ...options })
  const mend = async (): Promise<void> => {
    books.turn('up')
    relay.turn('up')
    // Until it is connected again, and has said so.
    for (;;) {
      const isUp = await nats.flush().then(
        () => true,
        () => false,
      )
      if (isUp) return
    }
  }
  return {
    book: books,
    mover,
    handler,
    nats,
    relay,
    prefix,
    worker: () => worker as RunningWorker,
    stopWorker: async () => {
      await worker?.stop()
      worker = null
    },
    startWorker,
    grantsOf: (connection) => servers.map(({ id }) => id).filter((id) => handler.granted.has(`${id}/${connection}`)),
    mend,
    [Symbol.asyncDispose]: async () => {
      await mover.close()
      await worker?.stop(0)
      await nats.close()
      await workerNats.close()
      await relay.close()
    },
  }
}

let epochs = 0

/** A move of the engine's: from `s1` to `s2`, each newer than the one before. */
export function moveOf(
  id: string,
  turn: {
    readonly from?: string
    readonly to?: string
    readonly attempt?: number
    readonly token?: number
    readonly key?: string
    readonly epoch?: number
  } = {},
): Move {
  const { from = 's1', to = 's2', attempt = 1, token = 1, key = `m${epochs + 1}/${id}/${attempt}`, epoch = ++epochs } = turn
  const serverOf = (one: string): Server => ({ id: one, rawId: one, region: 'de', host: '192.0.2.1', name: one }) as unknown as Server
  const connection = { id, rawId: id, userId: `u-${id}` } as unknown as Connection
  return {
    key,
    connection,
    from: serverOf(from),
    to: serverOf(to),
    reason: 'server-down',
    attempt,
    fencingToken: token as Token,
    epoch,
    sourceAlive: true,
  }
}

/** The same, called anew as the engine does: its key again, and a newer epoch. */
export const again = (move: Move, token: number = move.fencingToken): Move => ({ ...move, epoch: ++epochs, fencingToken: token as Token })

export const call = (signal: AbortSignal = new AbortController().signal): CallContext => ({ signal })

/** Resolves when the client has noticed. */
export async function disconnected(nats: { status(): AsyncIterable<{ readonly type: string }> }): Promise<void> {
  for await (const { type } of nats.status()) if (type === 'disconnect') return
}
