import { randomUUID } from 'node:crypto'
import { jetstream } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/nats-core'
import type {
  Clock,
  LeaseStore,
  Logger,
  MigrationStore,
  Pintail,
  PolicyInput,
  Prober,
  Random,
  SampleInput,
  ServerInput,
  ServerRegistry,
} from '@pintail/core'
import { allOf, createPintail, errorText, icmp, memoryStore, PintailError, systemClock } from '@pintail/core'
import { checkVantageName, encodeBatch, type Packed } from './batch.ts'
import { Closely } from './closely.ts'
import { fleetSubjects, lookRequest, parseFleet } from './fleet.ts'
import { Outbox } from './outbox.ts'
import { Roll } from './roll.ts'
import { whole } from './source.ts'
import { natsSubjects, type Subjects } from './subjects.ts'
import { tapped } from './tap.ts'

const sendTimeoutMs = 2000
const inFlight = 8
/** For what is still to be told when a vantage stops, milliseconds. */
const closeMs = 2000

export interface VantageOptions {
  /** The host's connection; it is never closed here. `{ maxReconnectAttempts: -1, pingInterval: 5000 }`: it comes back by itself, and notices a cut line. */
  readonly nats: NatsConnection
  /** Its name in `policy.detect.vantages` of the engine: a letter or digit, then up to 99 of these, `.`, `_` and `-`. One process a name. */
  readonly vantage: string
  /** As for `setUpNats`. Default `vpn`. */
  readonly prefix?: string
  /** What to probe: a list, or a registry of its own. Default or null: the engine's side is asked (`natsVantages({ servers })`), and its answer kept. */
  readonly servers?: readonly ServerInput[] | Pick<ServerRegistry, 'listServers'> | null
  /** Default: `icmp()`. Several: a check passes when all of them pass. */
  readonly probers?: readonly Prober[]
  /** Hosts that are reachable from here for certain: while none of them answers, the engine takes no word of this vantage. At most 16. Default none. */
  readonly canaries?: readonly { readonly host: string; readonly port?: number }[]
  /** Pace, packets, time-outs and fast confirmation, as in the engine's policy and with the same defaults; the engine alone judges. */
  readonly detect?: Omit<NonNullable<PolicyInput['detect']>, 'canaries' | 'vantages' | 'minAudienceVantages' | 'deadIntervalMs'>
  /** How often the list of servers is read, milliseconds, 50–3 600 000. Default 10 000. */
  readonly refreshMs?: number
  /**
   * With a list older than this nothing is probed any more, milliseconds, 1 000–2 592 000 000: its addresses may be somebody else's by now. A fixed
   * list never ages. Default an hour.
   */
  readonly forgetAfterMs?: number
  /** Samples that wait while the broker is away, at most, 1 024–1 000 000; the oldest go first, and after a minute in any case. Default 100 000. */
  readonly maxWaiting?: number
  readonly clock?: Clock
  readonly random?: Random
  /** Default: nowhere. */
  readonly logger?: Logger
  /** Stops it, as `stop()` does. */
  readonly signal?: AbortSignal
}

export interface VantageStatus {
  /** Whether the broker has stored what was last sent; null: nothing was sent yet. */
  readonly delivering: boolean | null
  readonly servers: number
  /** Since the books that the list of servers comes from were read, milliseconds; null: there is no list yet. */
  readonly listAgeMs: number | null
  /** Samples that the broker has stored, that wait, and that were thrown away because they could not be delivered in time. */
  readonly sent: number
  readonly waiting: number
  readonly lost: number
  /** Servers that the engine wants looked at closely now. */
  readonly looks: number
}

export interface RunningVantage extends AsyncDisposable {
  status(): VantageStatus
  /** Ends probing, hands in what is there within two seconds, and leaves no timer or subscription behind. Never rejects. Twice is harmless. */
  stop(): Promise<void>
}

/**
 * Probes the fleet from here and publishes what it sees, for an engine with `natsVantages`. Steady checks, dense ones of what looks dead to it and of
 * what the engine suspects; it judges nothing and moves nobody. Needs no JetStream permission but to publish on `<prefix>.samples.<vantage>`.
 * @throws PintailError `invalid_options` naming every problem
 */
export async function runVantage(options: VantageOptions): Promise<RunningVantage> {
  const vantage = new Vantage(options)
  await vantage.start()
  return vantage
}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

class Vantage implements RunningVantage {
  readonly #options: VantageOptions
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #subjects: Subjects
  readonly #run = randomUUID()
  readonly #outbox: Outbox
  readonly #roll: Roll
  readonly #pintail: Pintail
  readonly #closely: Closely
  readonly #stopping = new AbortController()
  #isConnected = true
  #delivering: boolean | null = null
  #stopped: Promise<void> | null = null

  constructor(options: VantageOptions) {
    const { nats, vantage, clock = systemClock, logger = silent, servers = null, probers = [icmp()], detect = {} } = options
    checkVantageName(vantage)
    this.#options = options
    this.#clock = clock
    this.#logger = logger
    this.#subjects = natsSubjects(options.prefix)
    const { prefix } = this.#subjects
    const maxWaiting = whole(options.maxWaiting ?? 100_000, 1024, 1_000_000, 'maxWaiting')
    const forgetAfterMs = whole(options.forgetAfterMs ?? 3_600_000, 1000, 2_592_000_000, 'forgetAfterMs')
    this.#roll = new Roll({ nats, prefix, vantage, servers, clock })
    this.#outbox = new Outbox({ maxWaiting, inFlight, clock, send: (packed) => this.#send(packed), isOpen: () => this.#isConnected })
    const prober = tapped(probers.length === 1 && probers[0] ? probers[0] : allOf(...probers), {
      vantage,
      clock,
      refuse: ({ serverId }) => (this.#isForgotten(serverId, forgetAfterMs) ? 'the list of servers is too old to probe by it' : null),
      told: (sample) => this.#take(sample),
    })
    this.#pintail = this.#watcher(prober)
    const { intervalMs = 200, timeoutMs = 1000 } = detect.confirm ?? {}
    const { signal } = this.#stopping
    this.#closely = new Closely({ prober, addressOf: (id) => this.#roll.addressOf(id), intervalMs, timeoutMs, clock, signal })
  }

  /**
   * Core's own engine, as one that stands by for ever: it keeps the pace, looks closely at what it suspects, asks controls, and judges
   * nothing. What its prober sees is what this vantage tells.
   */
  #watcher(prober: Prober): Pintail {
    const { detect = {}, canaries = [], refreshMs = 10_000, random, vantage } = this.#options
    const registry: ServerRegistry = { listServers: (ctx) => this.#roll.list(ctx), listConnections: async () => [] }
    return createPintail({
      registry,
      mover: { move: () => Promise.reject(new PintailError('unsupported', 'a vantage moves nobody')) },
      probers: [prober],
      vantage: { name: vantage },
      leases: nobodys,
      store: standby(),
      policy: {
        mode: 'observe',
        startupDelayMs: 0,
        registryRefreshMs: refreshMs,
        // What is down for long is looked at as often as everything: a word that is old is none.
        detect: { ...detect, canaries, deadIntervalMs: 50, vantages: {} },
      },
      clock: this.#clock,
      ...(random && { random }),
    })
  }

  async start(): Promise<void> {
    const { nats, signal } = this.#options
    if (signal?.aborted) return void (await this.stop())
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#followConnection()
    const look = nats.subscribe(fleetSubjects(this.#subjects.prefix).look, {
      callback: (error, message) => {
        const request = error ? null : parseFleet(lookRequest, message.data)
        if (request && this.#options.detect?.confirm !== null) this.#closely.look(request.servers, request.forMs)
      },
    })
    this.#stopping.signal.addEventListener('abort', () => look.unsubscribe(), { once: true })
    this.#pintail.on('warning', ({ code, message, remedy }) => this.#logger.warn({ code, remedy, vantage: this.#options.vantage }, message))
    await this.#pintail.start()
  }

  readonly #onAbort = (): void => void this.stop()

  #followConnection(): void {
    const statuses = this.#options.nats.status()
    const follow = async (): Promise<void> => {
      for await (const { type } of statuses) {
        if (type === 'disconnect') this.#isConnected = false
        if (type !== 'reconnect') continue
        this.#isConnected = true
        this.#outbox.wake()
      }
    }
    follow().catch(() => {})
    // The client's iterator has it, its type does not say so.
    this.#stopping.signal.addEventListener('abort', () => (statuses as { stop?(): void }).stop?.(), { once: true })
  }

  #isForgotten(serverId: string, forgetAfterMs: number): boolean {
    return !this.#roll.isFixed && !serverId.startsWith('canary:') && (this.#roll.ageMs ?? 0) > forgetAfterMs
  }

  #take(sample: SampleInput): void {
    if (this.#stopping.signal.aborted) return
    this.#closely.checked(String(sample.serverId))
    this.#outbox.add(sample)
  }

  async #send(packed: Packed): Promise<void> {
    const { nats, vantage } = this.#options
    try {
      // Stamped anew each time: when it is stored tells how far our clock is off.
      const data = encodeBatch(vantage, this.#run, packed, this.#clock.now(), this.#outbox.lost)
      await jetstream(nats, { timeout: sendTimeoutMs }).publish(this.#subjects.sample(vantage), data, {
        msgID: `${this.#run}.${packed.seq}`,
        expect: { streamName: this.#subjects.streams.samples },
      })
    } catch (error) {
      if (this.#delivering !== false)
        this.#logger.warn({ code: 'unavailable', vantage, remedy }, `samples cannot be delivered: ${errorText(error)}; the newest are kept`)
      this.#delivering = false
      throw error
    }
    if (this.#delivering === false) this.#logger.info({ vantage, lost: this.#outbox.lost }, 'samples are delivered again')
    this.#delivering = true
  }

  status(): VantageStatus {
    const { sent, waiting, lost } = this.#outbox
    const { size: servers, ageMs: listAgeMs } = this.#roll
    return { delivering: this.#delivering, servers, listAgeMs, sent, waiting, lost, looks: this.#closely.size }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#stopping.abort()
    await this.#pintail.stop()
    await this.#outbox.close(closeMs)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

const remedy = 'Check the broker, that setUpNats has been run, and that this user may publish its samples.'

/** Somebody else leads, always. */
const nobodys: LeaseStore = { acquire: async () => null, renew: async () => false, release: async () => {} }

/** Where engines would meet: what is told there goes nowhere, because it is published at once. */
const standby = (): MigrationStore => ({ ...memoryStore({ journalLimit: 1000 }), post: async () => {}, posts: async () => [] })
