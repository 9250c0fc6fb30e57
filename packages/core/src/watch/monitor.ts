import PQueue from 'p-queue'
import { type DetectorState, newDetector, paceOf } from '../decide/detector.ts'
import type { Books, ServerBook } from '../engine/books.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { Clock, Prober, ProbeTarget, Random, ServerRegistry } from '../ports.ts'
import { parseSample } from '../rows.ts'
import type { Bus } from '../telling/bus.ts'
import { callOut } from '../time.ts'
import type { Sample, Server, ServerId, Verdict } from '../vocabulary.ts'
import { ServerList } from './serverList.ts'
import type { Turned } from './vantages.ts'
import { Warnings } from './warnings.ts'
import { Wheel } from './wheel.ts'
import { Witness } from './witness.ts'

/** Dense checks of one server that may be under way at once; its own time-out bounds them too. */
const mostInFlight = 16
/** Answers are asked of this many other servers when a suspicion needs a control. */
const controlProbes = 3

/** What the monitor tells the rest of the engine. */
export interface MonitorHooks {
  /** @param audience null: for everybody */
  verdictChanged(book: ServerBook, previous: Verdict, audience: string | null): void
  /** A vantage elsewhere counts again, or does not any more. */
  vantageTurned(turned: Turned): void
  /** A host answered: what waits for a control may look again. */
  answered(): void
  /** The server list was read, or could not be. */
  listed(): void
  /** Whether anything is open that names a server. */
  hasOpen(): boolean
  serverAdded(server: Server): void
  serverRemoved(server: Server): void
}

export interface MonitorPorts {
  readonly registry: ServerRegistry
  readonly prober: Prober
  readonly vantage: { readonly name: string; readonly region: string | null }
  readonly clock: Clock
  readonly random: Random
}

interface Subject {
  readonly key: string
  inFlight: number
  /** The engine's own canaries have no book: their answers tell of the prober, not of a server. */
  readonly canary: { readonly host: string; readonly port: number | null } | null
}

/**
 * Probes what the server list names: jitter, a steady pace for healthy servers, dense checks for suspects ahead of
 * everything else. Judges nothing itself: the witness does.
 */
export class Monitor {
  readonly witness: Witness
  readonly #ports: MonitorPorts
  readonly #books: Books
  readonly #stopped: AbortSignal
  readonly #queue: PQueue
  readonly #list: ServerList
  readonly #warnings: Warnings
  readonly #subjects = new Map<string, Subject>()
  readonly #wheel: Wheel<Subject>
  #lastCheckAt: number | null = null

  constructor(ports: MonitorPorts, books: Books, bus: Bus, hooks: MonitorHooks, stopped: AbortSignal) {
    this.#ports = ports
    this.#books = books
    this.#stopped = stopped
    this.#queue = new PQueue({ concurrency: books.policy.detect.maxConcurrentProbes })
    this.#warnings = new Warnings(bus)
    this.#wheel = new Wheel(ports.clock, stopped, (subject) => this.#due(subject))
    this.witness = new Witness(ports.clock, books, {
      verdictChanged: (book, previous, audience) => hooks.verdictChanged(book, previous, audience),
      vantageTurned: (turned) => hooks.vantageTurned(turned),
      answered: () => hooks.answered(),
      suspected: ({ server }) => this.#hasten(server.id),
      wantsControl: (book) => this.askControls(book),
    })
    const listHooks = {
      listed: () => {
        if (!books.stale) this.#takeCanaries()
        hooks.listed()
      },
      hasOpen: () => hooks.hasOpen(),
      added: (server: Server) => {
        this.#wheel.schedule(
          this.#subject(server.id, null),
          Math.floor(ports.random() * Math.min(1000, books.policy.detect.checkIntervalMs)),
        )
        hooks.serverAdded(server)
      },
      removed: (server: Server) => {
        this.#remove(server.id)
        hooks.serverRemoved(server)
      },
    }
    this.#list = new ServerList(ports, books, this.#warnings, listHooks, stopped)
  }

  get lastCheckAt(): number | null {
    return this.#lastCheckAt
  }

  /** Runs until stopped. */
  async run(): Promise<void> {
    try {
      await this.#list.run()
    } finally {
      this.#wheel.stop()
    }
  }

  async settled(): Promise<void> {
    await this.#queue.onIdle()
    await this.#list.settled()
  }

  /** Reads the server list now. Never rejects: a failure marks the list stale. */
  refresh(): Promise<void> {
    return this.#list.refresh()
  }

  // --------------------------------------------------------------------------------------------------------- subjects

  #subject(key: string, canary: Subject['canary']): Subject {
    const subject = { key, inFlight: 0, canary }
    this.#subjects.set(key, subject)
    return subject
  }

  #remove(key: string): void {
    const subject = this.#subjects.get(key)
    if (subject) this.#wheel.remove(subject)
    this.#subjects.delete(key)
  }

  #takeCanaries(): void {
    const wanted = new Map(
      this.#books.policy.detect.canaries.map(({ host, port }) => [`canary:${host}:${port ?? ''}`, { host, port: port ?? null }]),
    )
    for (const [key, canary] of wanted) if (!this.#subjects.has(key)) this.#wheel.schedule(this.#subject(key, canary), 0)
    for (const [key, { canary }] of this.#subjects)
      if (canary && !wanted.has(key)) {
        this.#remove(key)
        this.witness.forgetCanary(key)
      }
  }

  #hasten(key: string): void {
    const subject = this.#subjects.get(key)
    const { confirm } = this.#books.policy.detect
    if (subject && confirm) this.#wheel.schedule(subject, confirm.intervalMs)
  }

  #due(subject: Subject): void {
    const { detect } = this.#books.policy
    const pace = paceOf(this.#detector(subject), detect)
    const jitter = pace.dense ? 0 : (this.#ports.random() * 2 - 1) * detect.jitter
    this.#wheel.schedule(subject, pace.intervalMs * (1 + jitter))
    // A steady check is skipped while one is out; dense ones overlap, so that a time-out does not slow them down.
    if (subject.inFlight >= (pace.dense ? mostInFlight : 1)) return
    void this.#enqueue(subject, pace.packets, pace.timeoutMs, pace.dense ? 1 : 0)
  }

  #detector(subject: Subject): DetectorState {
    const book = this.#books.servers.get(subject.key as ServerId)
    // What others see down is looked at as closely as what we suspect ourselves.
    if (book && this.witness.looksClosely(book)) return { ...book.detector, verdict: 'suspect' }
    return book?.detector ?? newDetector(0)
  }

  // ----------------------------------------------------------------------------------------------------------- probes

  #enqueue(subject: Subject, packets: number, timeoutMs: number, priority: number): Promise<Sample | null> {
    subject.inFlight++
    const queued = this.#queue.add(() => this.#probe(subject, packets, timeoutMs), { priority })
    return queued.finally(() => {
      subject.inFlight--
    })
  }

  async #probe(subject: Subject, packets: number, timeoutMs: number): Promise<Sample | null> {
    const { clock, prober, vantage } = this.#ports
    const book = this.#books.servers.get(subject.key as ServerId)
    const address = subject.canary ?? book?.server
    if (!address || this.#stopped.aborted) return null
    const target: ProbeTarget = {
      serverId: subject.key as ServerId,
      host: address.host,
      port: address.port,
      packets,
      timeoutMs,
    }
    const sentAt = clock.now()
    const control = this.witness.controlFor(subject.key)
    try {
      // The prober keeps its own time; this bound is for one that hangs.
      const bound = packets * (timeoutMs + 1000) + 5000
      const result = await callOut(clock, bound, this.#stopped, `prober ${prober.name}`, (ctx) => prober.probe(target, ctx))
      const parsed = parseSample({ ...result, serverId: subject.key, vantage: vantage.name, prober: prober.name, sentAt })
      if (!parsed.ok)
        throw new PintailError('prober_unavailable', `prober ${prober.name} gave an impossible result: ${parsed.problems[0]?.message}`)
      // Its address changed while the packets were out: they tell of the old machine.
      if (book && book.server.host !== target.host) return null
      this.#lastCheckAt = clock.now()
      if (subject.canary) this.witness.takeCanary(subject.key, subject.canary.host, parsed.value)
      else if (book && this.#books.servers.get(book.server.id) === book) this.witness.take(book, parsed.value, control)
      return parsed.value
    } catch (error) {
      if (this.#stopped.aborted) return null
      this.#couldNot(subject, book, error)
      return null
    }
  }

  #couldNot(subject: Subject, book: ServerBook | undefined, error: unknown): void {
    const { prober } = this.#ports
    const code = isPintailError(error) ? error.code : 'internal'
    const what = code === 'unknown_host' ? `${prober.name}/${subject.key}` : `${prober.name}/${code}`
    this.#warnings.once(what, code === 'unknown_host' ? code : 'prober_unavailable', `prober ${prober.name}: ${errorText(error)}`, {
      ...(isPintailError(error) && error.remedy && { remedy: error.remedy }),
      ...(book && code === 'unknown_host' && { serverId: book.server.id }),
    })
    if (book) this.witness.couldNot(book, errorText(error))
  }

  /** Probes a few other hosts at once: one answer shows that the prober still has a network. */
  askControls(suspect: ServerBook): void {
    const { detect } = this.#books.policy
    suspect.askedAt = this.#ports.clock.now()
    const others = [...this.#subjects.values()].filter(
      ({ key, canary }) => key !== suspect.server.id && (canary || this.#books.servers.get(key as ServerId)?.detector.verdict === 'up'),
    )
    const canaries = others.filter(({ canary }) => canary)
    const servers = others.filter(({ canary }) => !canary)
    const start = Math.floor(this.#ports.random() * servers.length)
    const some = [...canaries, ...servers.slice(start), ...servers.slice(0, start)].slice(0, canaries.length + controlProbes)
    for (const subject of some)
      if (subject.inFlight === 0) void this.#enqueue(subject, 1, detect.confirm?.timeoutMs ?? detect.pingTimeoutMs, 1)
  }

  /** One fresh check, ahead of everything else; null: it could not be made. */
  probeNow(server: ServerId): Promise<Sample | null> {
    const subject = this.#subjects.get(server)
    if (!subject) return Promise.resolve(null)
    const { pingTimeoutMs } = this.#books.policy.detect
    return this.#enqueue(subject, 1, pingTimeoutMs, 2)
  }
}
