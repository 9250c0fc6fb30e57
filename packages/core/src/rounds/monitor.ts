import type { Books, ServerBook } from '../books/books.ts'
import { newDetector, type Pace, paceOf } from '../detect/detector.ts'
import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { Clock, ProbeResult, Prober, ProbeTarget, Random, ServerRegistry } from '../ports.ts'
import { parseSample } from '../rows.ts'
import type { Bus } from '../telling/bus.ts'
import type { Sample, Server, ServerId, Verdict } from '../vocabulary.ts'
import { ServerList } from '../watch/serverList.ts'
import type { Turned } from '../watch/vantages.ts'
import { Warnings } from '../watch/warnings.ts'
import { Witness } from '../watch/witness.ts'
import { type Check, type ProbeOutcome, Probes, type Urgency } from './probes.ts'
import { Wheel } from './wheel.ts'

/** Dense checks of one server that may be under way at once; its own time-out bounds them too. */
const mostInFlight = 16
/** Answers are asked of this many other servers when a suspicion needs a control. */
const controlProbes = 3
/** So many servers are looked at to find these; more controls than this many checks are not asked for meanwhile. */
const controlLooks = 200
const controlsAtMost = 256
/** The first checks of a fleet are spread over so long, milliseconds: a second, or longer for many servers. */
const firstChecksMs = { least: 1000, perServer: 1 } as const
/** Where the prober takes many at once, steady checks are due in steps of so many ticks of the wheel: 100 ms. */
const batchGrain = 5

/** Canaries are checked at the pace of servers that are well. */
const canaryState = newDetector(0)

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

/** Which part of the looking is ours, where several engines share it. */
export interface Share {
  /** Whether anybody shares it with us now. */
  isShared(): boolean
  /** False: another engine looks at it at the steady pace. Suspects are everybody's. */
  isOurs(book: ServerBook): boolean
  /** True: it is to be looked at as closely as a suspect. */
  isAsked(server: ServerId): boolean
  /** Each outcome of a check, of canaries too. */
  sampled(sample: Sample): void
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
  dueTick: number
  inFlight: number
  /** The urgencies in which a check of it waits for its turn, as bits: it is not due again before it has had it. */
  waiting: number
  /** Where it is among the servers. */
  place: number
  /** The engine's own canaries have no book: their answers tell of the prober, not of a server. */
  readonly canary: { readonly host: string; readonly port: number | null } | null
}

interface SubjectCheck extends Check {
  readonly subject: Subject
  readonly packets: number
  readonly timeoutMs: number
  /** When it became due; null: it is made besides the subject's own pace. */
  readonly dueAt: number | null
  /** What went out, and what held then. */
  sent: {
    readonly target: ProbeTarget
    readonly at: number
    readonly book: ServerBook | undefined
    readonly control: ServerBook['control']
  } | null
  readonly done: ((sample: Sample | null) => void) | null
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
  readonly #probes: Probes<SubjectCheck>
  readonly #list: ServerList
  readonly #warnings: Warnings
  readonly #share: Share | null
  readonly #subjects = new Map<string, Subject>()
  readonly #canaries = new Set<string>()
  /** Those that are servers, so that one can be drawn. */
  readonly #servers: Subject[] = []
  readonly #wheel: Wheel<Subject>
  /** Checks asked of others for a control, not ended yet. */
  #controls = 0
  #lastCheckAt: number | null = null

  constructor(ports: MonitorPorts, books: Books, bus: Bus, hooks: MonitorHooks, stopped: AbortSignal, share: Share | null = null) {
    this.#share = share
    this.#ports = ports
    this.#books = books
    this.#stopped = stopped
    this.#probes = new Probes<SubjectCheck>(ports.prober, ports.clock, () => books.policy.detect.maxConcurrentProbes, {
      begin: (check) => this.#begin(check),
      ended: (check, outcome) => this.#ended(check, outcome),
      odd: (message) => this.#warnings.once(`odd/${ports.prober.name}`, 'prober_unavailable', message),
    })
    this.#warnings = new Warnings(bus)
    this.#wheel = new Wheel(
      ports.clock,
      stopped,
      (subject) => this.#due(subject),
      () => this.#probes.send(),
    )
    this.witness = new Witness(ports.clock, books, ports.prober.name, {
      verdictChanged: (book, previous, audience) => hooks.verdictChanged(book, previous, audience),
      vantageTurned: (turned) => hooks.vantageTurned(turned),
      answered: () => hooks.answered(),
      hastened: ({ server }) => this.hasten(server.id),
      wantsControl: (book) => this.askControls(book),
      cannotDecide: (regions) => this.#tooFew(regions),
      isShared: () => this.#share?.isShared() ?? false,
    })
    const listHooks = {
      listed: () => {
        if (!books.stale) this.#takeCanaries()
        hooks.listed()
      },
      hasOpen: () => hooks.hasOpen(),
      added: (server: Server, listed: number) => {
        this.#wheel.schedule(this.#subject(server.id, null), Math.floor(ports.random() * this.#firstChecksMs(listed)), this.#grain)
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
      for (const check of this.#probes.stop()) check.done?.(null)
    }
  }

  async settled(): Promise<void> {
    await this.#list.settled()
  }

  /** Reads the server list now. Never rejects: a failure marks the list stale. */
  refresh(): Promise<void> {
    return this.#list.refresh()
  }

  // --------------------------------------------------------------------------------------------------------- subjects

  #subject(key: string, canary: Subject['canary']): Subject {
    const subject = { key, dueTick: -1, inFlight: 0, waiting: 0, place: this.#servers.length, canary }
    this.#subjects.set(key, subject)
    if (canary) this.#canaries.add(key)
    else this.#servers.push(subject)
    return subject
  }

  #remove(key: string): void {
    const subject = this.#subjects.get(key)
    if (!subject) return
    this.#wheel.remove(subject)
    this.#subjects.delete(key)
    this.#canaries.delete(key)
    const last = subject.canary ? undefined : this.#servers.pop()
    if (!last || last === subject) return
    last.place = subject.place
    this.#servers[last.place] = last
  }

  #firstChecksMs(servers: number): number {
    const { least, perServer } = firstChecksMs
    return Math.min(Math.max(least, servers * perServer), this.#books.policy.detect.checkIntervalMs)
  }

  /** Many that are due together go as one batch; what is dense does not wait for that. */
  get #grain(): number {
    return this.#ports.prober.probeMany ? batchGrain : 1
  }

  /** Whoever would wait longer than the new pace allows is checked sooner; more probes may go out at once. */
  policyChanged(): void {
    if (this.#stopped.aborted || this.#books.listedAt === 0) return
    const { checkIntervalMs, jitter } = this.#books.policy.detect
    this.#takeCanaries()
    for (const subject of this.#subjects.values()) {
      if ((this.#wheel.remaining(subject) ?? 0) <= checkIntervalMs * (1 + jitter)) continue
      this.#wheel.schedule(subject, this.#ports.random() * checkIntervalMs, this.#grain)
    }
    this.#probes.send()
  }

  #takeCanaries(): void {
    const wanted = new Map(
      this.#books.policy.detect.canaries.map(({ host, port }) => [canaryKey(host, port), { host, port: port ?? null }]),
    )
    for (const [key, canary] of wanted) if (!this.#subjects.has(key)) this.#wheel.schedule(this.#subject(key, canary), 0)
    for (const key of this.#canaries)
      if (!wanted.has(key)) {
        this.#remove(key)
        this.witness.forgetCanary(key)
      }
  }

  /** Something has become urgent: it does not wait for the turn that it had. */
  hasten(key: string): void {
    const subject = this.#subjects.get(key)
    if (subject) this.#wheel.schedule(subject, this.#paceOf(subject).intervalMs)
  }

  #due(subject: Subject): void {
    const { dense, packets, timeoutMs } = this.#paceOf(subject)
    const urgency = dense ? 1 : 0
    const book = this.#books.servers.get(subject.key as ServerId)
    if (!dense && book && this.#share && !this.#share.isOurs(book)) {
      this.#next(subject, 0)
      return
    }
    // Whoever waits for its turn is due again when it has had it: a queue cannot grow beyond the fleet.
    if (subject.waiting & (1 << urgency)) return
    // A steady check is skipped while one is out; dense ones overlap, so that a time-out does not slow them down.
    if (subject.inFlight >= (dense ? mostInFlight : 1)) {
      this.#next(subject, 0)
      return
    }
    subject.waiting |= 1 << urgency
    this.#add({ key: subject.key, subject, urgency, packets, timeoutMs, dueAt: this.#ports.clock.now(), sent: null, done: null })
  }

  /** @param waitedMs how long its last check has waited for its turn: that makes the pace no slower */
  #next(subject: Subject, waitedMs: number): void {
    const { dense, intervalMs } = this.#paceOf(subject)
    const jitter = dense ? 0 : (this.#ports.random() * 2 - 1) * this.#books.policy.detect.jitter
    const delayMs = intervalMs * (1 + jitter)
    this.#wheel.schedule(subject, Math.max(delayMs / 2, delayMs - waitedMs), dense ? 1 : this.#grain)
  }

  #paceOf({ key }: Subject): Pace {
    const book = this.#books.servers.get(key as ServerId)
    if (!book) return paceOf(canaryState, this.#books.policy.detect)
    // What others see down is looked at as closely as what we suspect ourselves.
    const asked = this.witness.looksClosely(book) || (this.#share?.isAsked(book.server.id) ?? false)
    return paceOf(book.detector, this.witness.detectFor(book), { now: this.#ports.clock.now(), asked })
  }

  // ----------------------------------------------------------------------------------------------------------- probes

  #add(check: SubjectCheck): void {
    if (!this.#probes.add(check)) check.done?.(null)
  }

  /** One check besides the subject's own pace. */
  #extra(subject: Subject, timeoutMs: number, urgency: Urgency, done: SubjectCheck['done']): void {
    this.#add({ key: subject.key, subject, urgency, packets: 1, timeoutMs, dueAt: null, sent: null, done })
  }

  #begin(check: SubjectCheck): ProbeTarget | null {
    const { subject, packets, timeoutMs, dueAt } = check
    const { clock } = this.#ports
    const book = this.#books.servers.get(subject.key as ServerId)
    const at = clock.now()
    if (dueAt !== null) subject.waiting &= ~(1 << check.urgency)
    const address = subject.canary ?? book?.server
    if (!address || this.#subjects.get(subject.key) !== subject) {
      check.done?.(null)
      return null
    }
    if (dueAt !== null) this.#next(subject, at - dueAt)
    const target = { serverId: subject.key as ServerId, host: address.host, port: address.port, packets, timeoutMs }
    check.sent = { target, at, book, control: this.witness.controlFor(subject.key) }
    subject.inFlight++
    return target
  }

  #ended(check: SubjectCheck, outcome: ProbeOutcome): void {
    check.subject.inFlight--
    let sample: Sample | null = null
    try {
      if (outcome.how === 'answered') sample = this.#take(check, outcome.result)
      if (outcome.how === 'failed') this.#couldNot(check.subject, check.sent?.book, outcome.error)
    } catch (error) {
      this.#couldNot(check.subject, check.sent?.book, error)
    } finally {
      check.done?.(sample)
    }
  }

  /** @returns null if it tells nothing of what is there now */
  #take({ subject, sent }: SubjectCheck, result: ProbeResult): Sample | null {
    if (!sent || this.#stopped.aborted) return null
    const { clock, prober, vantage } = this.#ports
    const { book, target, control } = sent
    const parsed = parseSample({ ...result, serverId: subject.key, vantage: vantage.name, prober: prober.name, sentAt: sent.at })
    if (!parsed.ok)
      throw new PintailError('prober_unavailable', `prober ${prober.name} gave an impossible result: ${parsed.problems[0]?.message}`)
    // Its address changed while the packets were out: they tell of the old machine.
    if (book && (book.server.host !== target.host || book.server.port !== target.port)) return null
    this.#lastCheckAt = clock.now()
    this.#share?.sampled(parsed.value)
    if (subject.canary) this.witness.takeCanary(subject.key, subject.canary.host, parsed.value)
    else if (book && this.#books.servers.get(book.server.id) === book) this.witness.take(book, parsed.value, control)
    return parsed.value
  }

  #couldNot(subject: Subject, book: ServerBook | undefined, error: unknown): void {
    if (this.#stopped.aborted) return
    const { prober } = this.#ports
    const code = isPintailError(error) ? error.code : 'internal'
    const what = code === 'unknown_host' ? `${prober.name}/${subject.key}` : `${prober.name}/${code}`
    this.#warnings.once(what, code === 'unknown_host' ? code : 'prober_unavailable', `prober ${prober.name}: ${errorText(error)}`, {
      ...(isPintailError(error) && error.remedy && { remedy: error.remedy }),
      ...(book && code === 'unknown_host' && { serverId: book.server.id }),
    })
    if (book && this.#books.servers.get(book.server.id) === book) this.witness.couldNot(book, errorText(error))
  }

  #tooFew(regions: readonly [region: string, many: number][]): void {
    const { minAudienceVantages: least } = this.#books.policy.detect
    for (const region of this.#books.regions) this.#warnings.over(`few/${region}`)
    for (const [region, many] of regions) {
      const has = `region ${region} has ${many} vantage${many === 1 ? '' : 's'}, and detect.minAudienceVantages is ${least}`
      this.#warnings.once(
        `few/${region}`,
        'capability_missing',
        `${has}: a server that is blocked there alone is found by passive signals only`,
        {
          remedy: `Name ${least - many === 1 ? 'another vantage' : `${least - many} more vantages`} in ${region}, or lower detect.minAudienceVantages.`,
        },
      )
    }
  }

  /** Probes a few other hosts at once: one answer shows that the prober still has a network. */
  askControls(suspect: ServerBook): void {
    const { detect } = this.#books.policy
    suspect.askedAt = this.#ports.clock.now()
    // An answer is a control for all that wait: where many are out, more would only delay what confirms.
    if (this.#controls >= controlsAtMost) return
    const timeoutMs = detect.confirm?.timeoutMs ?? detect.pingTimeoutMs
    for (const subject of this.#othersOf(suspect)) {
      if (subject.inFlight > 0) continue
      this.#controls++
      this.#extra(subject, timeoutMs, 1, () => {
        this.#controls--
      })
    }
    this.#probes.send()
  }

  /** All canaries, and a few servers that answer, from a random one on. */
  #othersOf(suspect: ServerBook): Subject[] {
    const others = this.#books.policy.detect.canaries.flatMap(({ host, port }) => this.#subjects.get(canaryKey(host, port)) ?? [])
    const most = others.length + controlProbes
    const count = this.#servers.length
    const start = Math.floor(this.#ports.random() * count)
    for (let index = 0; index < Math.min(count, controlLooks) && others.length < most; index++) {
      const subject = this.#servers[(start + index) % count]
      if (subject && subject.key !== suspect.server.id && this.#books.servers.get(subject.key as ServerId)?.detector.verdict === 'up')
        others.push(subject)
    }
    return others
  }

  /** One fresh check, ahead of everything else; null: it could not be made. */
  probeNow(server: ServerId): Promise<Sample | null> {
    const subject = this.#subjects.get(server)
    if (!subject) return Promise.resolve(null)
    return new Promise((resolve) => {
      this.#extra(subject, this.#books.policy.detect.pingTimeoutMs, 2, resolve)
      this.#probes.send()
    })
  }
}

function canaryKey(host: string, port?: number): string {
  return `canary:${host}:${port ?? ''}`
}
