import PQueue from 'p-queue'
import { calmed } from '../decide/calm.ts'
import { couldNotProbe, type DetectorState, doubt, forget, newDetector, paceOf, step, verdictOf } from '../decide/detector.ts'
import { droppedAfter, goneAfter } from '../decide/incident.ts'
import { detectFor } from '../decide/override.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { Clock, Prober, ProbeTarget, Random, ServerInput, ServerRegistry, Timer } from '../ports.ts'
import { parseSample, parseServer, problemText, shorten } from '../rows.ts'
import type { Bus } from '../telling/bus.ts'
import { callOut, collect, sleep } from '../time.ts'
import type { DetectPolicy, Sample, Server, ServerId, Verdict } from '../vocabulary.ts'
import { type Books, newBook, type ServerBook } from './books.ts'

/** Checks due within one tick go out together: one timer for them all, however large the fleet. */
const tickMs = 20
/** For reading the server list, milliseconds. */
const registryTimeoutMs = 10_000
/** Dense checks of one server that may be under way at once; its own time-out bounds them too. */
const mostInFlight = 16
/** While a server is suspect, others are asked this often, so that a fresh control is there when it is needed, milliseconds. */
const askEveryMs = 1000
/** Answers are asked of this many other servers when a suspicion needs a control. */
const controlProbes = 3

/** What the monitor tells the rest of the engine. */
export interface MonitorHooks {
  verdictChanged(book: ServerBook, previous: Verdict): void
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
  readonly vantage: string
  readonly clock: Clock
  readonly random: Random
}

interface Subject {
  readonly key: string
  dueTick: number
  inFlight: number
  /** The engine's own canaries have no book: their answers tell of the prober, not of a server. */
  readonly canary: { readonly host: string; readonly port: number | null } | null
}

/**
 * Reads the server list and probes: one timer wheel with jitter, a steady pace for healthy servers, dense checks for
 * suspects ahead of everything else. Judges nothing itself: samples go through `decide/detector`.
 */
export class Monitor {
  readonly #ports: MonitorPorts
  readonly #books: Books
  readonly #bus: Bus
  readonly #hooks: MonitorHooks
  readonly #stopped: AbortSignal
  readonly #queue: PQueue
  readonly #subjects = new Map<string, Subject>()
  readonly #wheel = new Map<number, Set<Subject>>()
  readonly #warned = new Set<string>()
  #timer: { readonly tick: number; readonly timer: Timer } | null = null
  #refreshing: Promise<void> | null = null
  /** The newest list was not believed because it named too few. */
  #doubted = false
  #countedAt = 0
  /** The newest answers of two different hosts, so that one of them is never the suspect itself. */
  #answers: { readonly host: string; readonly key: string; readonly at: number }[] = []
  readonly #canariesFailing = new Set<string>()
  #lastCheckAt: number | null = null
  /** The policy as this fleet needs it: made anew with another policy or another number of servers. */
  #calm: { readonly of: DetectPolicy; readonly servers: number; readonly detect: DetectPolicy } | null = null

  constructor(ports: MonitorPorts, books: Books, bus: Bus, hooks: MonitorHooks, stopped: AbortSignal) {
    this.#ports = ports
    this.#books = books
    this.#bus = bus
    this.#hooks = hooks
    this.#stopped = stopped
    this.#queue = new PQueue({ concurrency: books.policy.detect.maxConcurrentProbes })
  }

  get lastCheckAt(): number | null {
    return this.#lastCheckAt
  }

  /** Runs until stopped. */
  async run(): Promise<void> {
    const { clock, registry } = this.#ports
    try {
      await sleep(clock, this.#books.policy.startupDelayMs, this.#stopped)
      if (registry.watch) void this.#watch(registry.watch.bind(registry))
      while (true) {
        await this.refresh()
        await sleep(clock, this.#books.policy.registryRefreshMs, this.#stopped)
      }
    } catch (error) {
      if (!isPintailError(error, 'aborted')) throw error
    } finally {
      this.#timer?.timer.cancel()
    }
  }

  async settled(): Promise<void> {
    await this.#queue.onIdle()
    await this.#refreshing
  }

  async #watch(watch: NonNullable<ServerRegistry['watch']>): Promise<void> {
    while (!this.#stopped.aborted) {
      try {
        for await (const _ of watch({ signal: this.#stopped })) {
          await this.refresh()
          await sleep(this.#ports.clock, 1000, this.#stopped)
        }
        return
      } catch (error) {
        if (this.#stopped.aborted) return
        this.#warnOnce('watch', 'unavailable', `watching the registry failed: ${errorText(error)}`)
        await sleep(this.#ports.clock, 10_000, this.#stopped).catch(() => {})
      }
    }
  }

  // ------------------------------------------------------------------------------------------------------ server list

  /** Reads the server list now; calls while one is under way share it. Never rejects: a failure marks the list stale. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  async #refresh(): Promise<void> {
    const { clock, registry } = this.#ports
    const begunAt = clock.now()
    let rows: readonly ServerInput[]
    try {
      rows = await callOut(clock, registryTimeoutMs, this.#stopped, 'the registry', (ctx) => collect(registry.listServers(ctx)))
      const known = [...this.#books.servers.keys()].filter((id) => this.#books.missing(id) === 0).length
      // After a restart what is open tells that there were servers.
      if (rows.length === 0 && (this.#books.servers.size > 0 || this.#hooks.hasOpen()))
        throw new PintailError('unavailable', 'the server list came back empty')
      // Half an answer of a panel looks like this too: it is believed when it comes again.
      const isHalved = rows.length * 2 < known && !this.#doubted
      this.#doubted = isHalved
      if (isHalved) throw new PintailError('unavailable', `the server list fell from ${known} servers to ${rows.length} at once`)
    } catch (error) {
      if (this.#stopped.aborted) return
      this.#books.stale = true
      this.#warnOnce('registry', 'registry_stale', `the server list could not be read: ${errorText(error)}; the last known one is kept`, {
        remedy: 'Nobody is judged by a stale list; probing goes on. Check the registry.',
      })
      this.#hooks.listed()
      return
    }
    this.#warned.delete('registry')
    const seen = new Set<string>()
    for (const row of rows) {
      const parsed = parseServer(row)
      const id = parsed.ok ? parsed.value.id : parsed.id
      if (!parsed.ok || seen.has(parsed.value.id)) this.#skip(id, parsed.ok ? 'its id is there twice' : problemText(parsed.problems))
      else this.#take(parsed.value, begunAt)
      // A known server whose row is broken now is still there: its last good row holds.
      if (id !== null) seen.add(id)
    }
    // Lists that follow upon each other tell the same: what misses a server is counted once in a while.
    if (begunAt - this.#countedAt >= this.#books.policy.registryRefreshMs / 2) {
      this.#books.listings++
      this.#countedAt = begunAt
    }
    for (const { server } of [...this.#books.servers.values()])
      if (seen.has(server.id)) this.#books.named.set(server.id, this.#books.listings)
      else if (this.#books.missing(server.id) >= droppedAfter) this.#drop(server)
    // When it was last named is known until it is gone for good, also of one that was dropped: its status may still be ours.
    for (const id of this.#books.named.keys()) if (this.#books.missing(id) > goneAfter) this.#books.named.delete(id)
    this.#takeCanaries()
    this.#books.stale = false
    this.#books.listedAt = begunAt
    this.#books.changed()
    this.#hooks.listed()
  }

  #skip(id: string | null, why: string): void {
    this.#books.skippedRows++
    const which = id === null ? 'a server row without a usable id' : `the row of server ${shorten(id)}`
    this.#warnOnce(`row/${id}/${why}`, 'invalid_row', `${which} is skipped: ${why}`, { count: this.#books.skippedRows })
  }

  #take(server: Server, begunAt: number): void {
    const book = this.#books.servers.get(server.id)
    if (!book) {
      const fresh = newBook(server, newDetector(begunAt))
      this.#books.servers.set(server.id, fresh)
      this.#schedule(
        this.#subject(server.id, null),
        Math.floor(this.#ports.random() * Math.min(1000, this.#books.policy.detect.checkIntervalMs)),
      )
      this.#hooks.serverAdded(server)
      return
    }
    // Another machine under the old name: what was learnt about the old one says nothing about it.
    if (book.server.host !== server.host || book.server.port !== server.port)
      book.detector = { ...newDetector(begunAt), lastSentAt: begunAt }
    if (book.server.status !== server.status) book.statusSince = begunAt
    book.server = server
    if (server.load !== null) this.#books.absorb(server.id, begunAt)
  }

  #drop(server: Server): void {
    // While something is open for it, it stays: the registry may be wrong, and its users need it.
    if (this.#books.incidents.has(server.id)) return
    this.#books.servers.delete(server.id)
    this.#subjects.delete(server.id)
    this.#hooks.serverRemoved(server)
  }

  #takeCanaries(): void {
    const wanted = new Map(
      this.#books.policy.detect.canaries.map(({ host, port }) => [`canary:${host}:${port ?? ''}`, { host, port: port ?? null }]),
    )
    for (const [key, canary] of wanted) if (!this.#subjects.has(key)) this.#schedule(this.#subject(key, canary), 0)
    for (const [key, { canary }] of this.#subjects)
      if (canary && !wanted.has(key)) {
        this.#subjects.delete(key)
        this.#canariesFailing.delete(key)
      }
  }

  // ------------------------------------------------------------------------------------------------------------ wheel

  #subject(key: string, canary: Subject['canary']): Subject {
    const subject = { key, dueTick: 0, inFlight: 0, canary }
    this.#subjects.set(key, subject)
    return subject
  }

  #schedule(subject: Subject, delayMs: number): void {
    const tick = Math.ceil((this.#ports.clock.now() + delayMs) / tickMs)
    this.#wheel.get(subject.dueTick)?.delete(subject)
    subject.dueTick = tick
    const slot = this.#wheel.get(tick) ?? new Set()
    this.#wheel.set(tick, slot)
    slot.add(subject)
    if (!this.#timer || tick < this.#timer.tick) this.#arm(tick)
  }

  #arm(tick: number): void {
    this.#timer?.timer.cancel()
    if (this.#stopped.aborted) return
    const timer = this.#ports.clock.setTimeout(() => this.#turn(), Math.max(0, tick * tickMs - this.#ports.clock.now()))
    this.#timer = { tick, timer }
  }

  #turn(): void {
    this.#timer = null
    const now = Math.floor(this.#ports.clock.now() / tickMs)
    let next = Number.POSITIVE_INFINITY
    for (const [tick, slot] of this.#wheel) {
      if (tick > now) next = Math.min(next, tick)
      else {
        this.#wheel.delete(tick)
        for (const subject of slot) this.#due(subject)
      }
    }
    for (const tick of this.#wheel.keys()) next = Math.min(next, tick)
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next)
  }

  #due(subject: Subject): void {
    if (this.#subjects.get(subject.key) !== subject) return
    const detect = this.#detectFor(subject.key)
    const pace = paceOf(this.#detector(subject), detect, { now: this.#ports.clock.now() })
    const jitter = pace.dense ? 0 : (this.#ports.random() * 2 - 1) * detect.jitter
    this.#schedule(subject, pace.intervalMs * (1 + jitter))
    // A steady check is skipped while one is out; dense ones overlap, so that a time-out does not slow them down.
    if (subject.inFlight >= (pace.dense ? mostInFlight : 1)) return
    void this.#enqueue(subject, pace.packets, pace.timeoutMs, pace.dense ? 1 : 0)
  }

  #detectFor(server: string): DetectPolicy {
    const { policy, servers } = this.#books
    if (this.#calm?.of !== policy.detect || this.#calm.servers !== servers.size)
      this.#calm = { of: policy.detect, servers: servers.size, detect: calmed(policy.detect, { vantages: 1, servers: servers.size }) }
    return detectFor(this.#calm.detect, server, this.#ports.prober.name)
  }

  #detector(subject: Subject): DetectorState {
    return this.#books.servers.get(subject.key as ServerId)?.detector ?? newDetector(0)
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
    const control = this.controlFor(subject.key)
    try {
      // The prober keeps its own time; this bound is for one that hangs.
      const bound = packets * (timeoutMs + 1000) + 5000
      const result = await callOut(clock, bound, this.#stopped, `prober ${prober.name}`, (ctx) => prober.probe(target, ctx))
      const parsed = parseSample({ ...result, serverId: subject.key, vantage, prober: prober.name, sentAt })
      if (!parsed.ok)
        throw new PintailError('prober_unavailable', `prober ${prober.name} gave an impossible result: ${parsed.problems[0]?.message}`)
      // Its address changed while the packets were out: they tell of the old machine.
      if (book && book.server.host !== target.host) return null
      this.#lastCheckAt = clock.now()
      if (subject.canary) this.#canaryAnswered(subject, parsed.value)
      else if (book && this.#books.servers.get(book.server.id) === book) this.#count(book, parsed.value, control)
      return parsed.value
    } catch (error) {
      if (this.#stopped.aborted) return null
      this.#couldNot(subject, book, error)
      return null
    }
  }

  #count(book: ServerBook, sample: Sample, control: ServerBook['control']): void {
    this.#books.note(book, sample)
    if (sample.received > 0) this.#answered(book.server.id, book.server.host, sample.sentAt)
    // While no canary answers this prober's word counts for nothing.
    if (this.isBlind()) return
    const detect = this.#detectFor(book.server.id)
    // Who had answered when this check was sent: asked before the verdict, because the verdict asks for it.
    if (sample.sentAt > book.detector.lastSentAt) book.control = control
    this.#judge(book, step(book.detector, sample, detect, this.#ports.clock.now()))
    if (book.detector.verdict === 'suspect' && detect.confirm && this.#ports.clock.now() - book.askedAt >= askEveryMs)
      this.askControls(book)
  }

  #couldNot(subject: Subject, book: ServerBook | undefined, error: unknown): void {
    const { prober, clock } = this.#ports
    const code = isPintailError(error) ? error.code : 'internal'
    const what = code === 'unknown_host' ? `${prober.name}/${subject.key}` : `${prober.name}/${code}`
    this.#warnOnce(what, code === 'unknown_host' ? code : 'prober_unavailable', `prober ${prober.name}: ${errorText(error)}`, {
      ...(isPintailError(error) && error.remedy && { remedy: error.remedy }),
      ...(book && code === 'unknown_host' && { serverId: book.server.id }),
    })
    if (book) this.#judge(book, couldNotProbe(book.detector, `it could not be probed: ${errorText(error)}`, clock.now()))
  }

  #judge(book: ServerBook, after: DetectorState): void {
    const before = book.detector
    book.detector = after
    const subject = this.#subjects.get(book.server.id)
    const detect = this.#detectFor(book.server.id)
    const pace = paceOf(after, detect)
    // What has become urgent does not wait for the turn that it had.
    if (subject && pace.dense && pace.intervalMs < paceOf(before, detect).intervalMs) this.#schedule(subject, pace.intervalMs)
    if (before.verdict === after.verdict) return
    this.#books.changed()
    if (after.verdict === 'down') this.askControls(book)
    this.#hooks.verdictChanged(book, verdictOf(before))
  }

  // --------------------------------------------------------------------------------------------------------- self-doubt

  /** True while canaries are configured and none of them answers. */
  isBlind(): boolean {
    const canaries = this.#books.policy.detect.canaries.length
    return canaries > 0 && this.#canariesFailing.size >= canaries
  }

  #canaryAnswered(subject: Subject, sample: Sample): void {
    const wasBlind = this.isBlind()
    if (sample.received > 0) {
      this.#canariesFailing.delete(subject.key)
      this.#answered(subject.key, subject.canary?.host ?? subject.key, sample.sentAt)
    } else this.#canariesFailing.add(subject.key)
    if (wasBlind || !this.isBlind()) return
    const reason = {
      code: 'vantage_unhealthy',
      message: 'no canary answers: this prober has lost its own network',
    } as const
    for (const book of this.#books.servers.values()) this.#judge(book, forget(book.detector, reason, this.#ports.clock.now()))
  }

  #answered(key: string, host: string, at: number): void {
    const others = this.#answers.filter((answer) => answer.key !== key)
    this.#answers = [{ key, host, at }, ...others].sort((a, b) => b.at - a.at).slice(0, 2)
    this.#hooks.answered()
  }

  /** The newest answer of any other host. */
  controlFor(server: string): { readonly host: string; readonly at: number } | null {
    const answer = this.#answers.find(({ key }) => key !== server)
    return answer ? { host: answer.host, at: answer.at } : null
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

  /** A `down` without a control is worth nothing: back to a suspicion, confirmed from now on. */
  startOver(book: ServerBook): void {
    this.#judge(book, doubt(book.detector, this.#ports.clock.now()))
  }

  /** One fresh check, ahead of everything else; null: it could not be made. */
  probeNow(server: ServerId): Promise<Sample | null> {
    const subject = this.#subjects.get(server)
    if (!subject) return Promise.resolve(null)
    const { pingTimeoutMs } = this.#books.policy.detect
    return this.#enqueue(subject, 1, pingTimeoutMs, 2)
  }

  #warnOnce(key: string, code: Parameters<Bus['warn']>[0]['code'], message: string, rest: Partial<Parameters<Bus['warn']>[0]> = {}): void {
    if (this.#warned.has(key)) return
    // Bounded: a registry of nonsense must not fill the memory; the counter goes on.
    if (this.#warned.size < 10_000) this.#warned.add(key)
    this.#bus.warn({ code, message, ...rest })
  }
}
