// A thousand live clients: what reaches them, what that costs the engine's event loop, and what those cost who stop reading.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import {
  createPintail,
  memoryLeases,
  memoryMover,
  memoryRegistry,
  memoryStore,
  type Pintail,
  type Prober,
  systemClock,
} from '@pintail/core'
import { plainHost } from '../../packages/fastify-plugin/test/plainHost.ts'
import type { Emit } from '../harness.ts'
import type { Order, Told } from './clients.ts'

const clients = 1000
/** Of those that stop reading, and as many that go on beside them. */
const silent = 50
const servers = 1000
/** Entries a second while the delay of the event loop is looked at: an evacuation of a few thousand users. */
const paceHz = 100
const windowMs = 15_000
/** Entries at once, to see how fast they can go out. */
const burst = 5000
/** To those who do not read: more than the buffers of a system's sockets hold. */
const flood = 60_000
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** The size of an entry of a move. */
const reason = 'x'.repeat(250)

type Host = Awaited<ReturnType<typeof plainHost>> & { readonly engine: Pintail }

async function host(): Promise<Host> {
  const rows = Array.from({ length: servers }, (_, index) => ({
    id: `s${index}`,
    host: `10.0.${index >> 8}.${index & 255}`,
    capacity: 1000,
  }))
  const registry = memoryRegistry({ servers: rows, connections: {} })
  const prober: Prober = {
    name: 'memory',
    probe: async ({ packets }) => ({ sent: packets, received: packets, rttMs: Array.from({ length: packets }, () => 20) }),
  }
  const policy = { mode: 'auto', startupDelayMs: 0 } as const
  const leases = memoryLeases(systemClock)
  const engine = createPintail({ registry, mover: memoryMover(registry), probers: [prober], store: memoryStore(), leases, policy })
  const { app, address } = await plainHost(engine)
  await engine.start()
  while (engine.health().lastCheckAt === null) await pause(20)
  return { app, engine, address }
}

/** Entries of the journal, by an operator who cannot make up his mind. */
async function entries(engine: Pintail, count: number): Promise<void> {
  for (let done = 0; done < count; done += 200) {
    const ids = Array.from({ length: Math.min(100, Math.ceil((count - done) / 2)) }, (_, index) => ({ serverId: `s${index}` }))
    await Promise.all(ids.map((id) => engine.pause(id, { reason })))
    await Promise.all(ids.map((id) => engine.resume(id)))
  }
}

/** The 99th percentile of the delays of the event loop while entries come at their pace, milliseconds. */
async function delayAtPace(engine: Pintail): Promise<{ readonly p99: number; readonly busy: number; readonly perS: number }> {
  const delays = monitorEventLoopDelay({ resolution: 1 })
  const [from, cpu, begun] = [engine.health().lastSeq, process.cpuUsage(), performance.now()]
  delays.enable()
  for (let tick = 1; performance.now() - begun < windowMs; tick++) {
    const id = { serverId: `s${tick % servers}` }
    await engine.pause(id, { reason })
    await engine.resume(id)
    await pause(Math.max(0, begun + (tick * 2000) / paceHz - performance.now()))
  }
  delays.disable()
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - begun) / 1000
  // The timer itself is due each millisecond.
  return { p99: delays.percentile(99) / 1e6 - 1, busy: (user + system) / 1e6 / seconds, perS: (engine.health().lastSeq - from) / seconds }
}

/** The other process, asked one thing at a time. */
class Clients implements AsyncDisposable {
  readonly #child: ChildProcess = fork(join(import.meta.dirname, 'clients.ts'), { execArgv: [...process.execArgv] })

  async ask<T extends Told>(order: Order): Promise<T> {
    const over = new AbortController()
    const answer = once(this.#child, 'message', { signal: over.signal })
    const died = once(this.#child, 'exit', { signal: over.signal }).then(() =>
      Promise.reject(new Error('the process of the clients has ended')),
    )
    this.#child.send(order)
    try {
      const [told] = (await Promise.race([answer, died])) as [T]
      return told
    } finally {
      over.abort()
      for (const one of [answer, died]) one.catch(() => {})
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    await ended
  }
}

export async function sse1000(emit: Emit, progress: (text: string) => void): Promise<void> {
  const { app, engine, address } = await host()
  const name = 'sse-1000'
  try {
    await delayAtPace(engine)
    const alone = await delayAtPace(engine)
    progress(`nobody listens: event loop delay p99 ${alone.p99.toFixed(2)} ms, ${alone.busy.toFixed(2)} cores`)
    await using all = new Clients()
    await all.ask({ open: `${address}/api/events`, count: clients, silent: 0 })
    progress(`${clients} streams are open`)
    const watched = await delayAtPace(engine)
    progress(`with them: event loop delay p99 ${watched.p99.toFixed(2)} ms, ${watched.busy.toFixed(2)} cores`)
    const peer = 'nobody listens'
    emit({ case: name, metric: 'loop_delay_p99_ms', value: watched.p99, unit: 'ms', peer, ratio: watched.p99 / alone.p99 })
    emit({ case: name, metric: 'cpu_share', value: watched.busy, unit: 'cores', peer, ratio: watched.busy / alone.busy })
    emit({ case: name, metric: 'paced_events_per_s', value: watched.perS * clients, unit: '1/s' })
    const { seen: before } = await all.ask<Extract<Told, { seen: number }>>({ until: engine.health().lastSeq })
    const begun = performance.now()
    await entries(engine, burst)
    const keptMs = performance.now() - begun
    const { seen } = await all.ask<Extract<Told, { seen: number }>>({ until: engine.health().lastSeq })
    const seconds = (performance.now() - begun) / 1000
    progress(`${burst} entries were kept in ${keptMs.toFixed(0)} ms and had by all after ${(seconds * 1000).toFixed(0)} ms`)
    emit({ case: name, metric: 'events_per_s', value: (seen - before) / seconds, unit: '1/s' })
  } finally {
    await app.close()
    await engine.stop()
  }
}

export async function sseSlow(emit: Emit, progress: (text: string) => void): Promise<void> {
  const { app, engine, address } = await host()
  const name = 'sse-slow'
  try {
    await using all = new Clients()
    await all.ask({ open: `${address}/api/events`, count: 2 * silent, silent })
    await pause(500)
    globalThis.gc?.()
    const before = process.memoryUsage()
    let most = 0
    const sample = setInterval(() => {
      const { heapUsed, arrayBuffers, external } = process.memoryUsage()
      most = Math.max(most, heapUsed + external + arrayBuffers - before.heapUsed - before.external - before.arrayBuffers)
    }, 50)
    for (let sent = 0; sent < flood; sent += 1000) {
      await entries(engine, 1000)
      await all.ask({ until: engine.health().lastSeq })
    }
    clearInterval(sample)
    progress(`${flood} entries: at most ${(most / 1e6).toFixed(0)} MB more than before`)
    const { closed } = await all.ask<Extract<Told, { closed: object }>>({ read: 'on' })
    const cut = Object.values(closed).reduce((sum, one) => sum + one, 0)
    progress(`of ${silent} that did not read, ${cut} were cut off: ${JSON.stringify(closed)}`)
    emit({ case: name, metric: 'cut_off', value: cut, unit: 'clients', peer: 'stopped reading', ratio: cut / silent, aim: 'ratio==1' })
    // What the engine itself keeps of the journal is in it too.
    emit({ case: name, metric: 'memory_growth_mb', value: most / 1e6, unit: 'MB' })
  } finally {
    await app.close()
    await engine.stop()
  }
}
