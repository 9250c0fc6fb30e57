import { Books, type ServerBook } from '../books/books.ts'
import { ownerOf } from '../detect/share.ts'
import { errorText } from '../errors.ts'
import type { SampleInput } from '../ports.ts'
import { Monitor, type MonitorPorts, type Share } from '../rounds/monitor.ts'
import { parseSample, problemText } from '../rows.ts'
import type { Bus } from '../telling/bus.ts'
import { sleep } from '../time.ts'
import type { FleetStatus, Policy, Sample, ServerId } from '../vocabulary.ts'
import { Warnings } from '../watch/warnings.ts'
import type { Body, Lead } from './body.ts'
import { type Exchange, postEveryMs, type Role } from './exchange.ts'

/** A leader that has posted nothing for so long may be another one by now, milliseconds. */
const silentMs = 5 * postEveryMs
/** Samples that wait to be handed in, at most; the oldest go first. So many go in one post. */
const mostWaiting = 20_000
const mostInPost = 5000
/** How often the policy is read that operators have stored, milliseconds. */
const policyEveryMs = 30_000
const leaveTimeoutMs = 2000

interface MemberParts extends MonitorPorts {
  readonly bus: Bus
  readonly exchange: Exchange
  readonly me: string
  /** What operators have stored holds here too. */
  readonly policy: (signal: AbortSignal) => Promise<Policy>
}

const ignore = (): void => {}

/**
 * An engine that stands by: it probes its share of the servers and hands the samples in, judges nothing and moves nobody.
 * Suspicions of its own it looks into at once, and those of the leader when they are named to it.
 */
export class Member implements Role, Share {
  readonly #parts: MemberParts
  readonly #books: Books
  readonly #monitor: Monitor
  readonly #warnings: Warnings
  readonly #stopping = new AbortController()
  readonly #done: Promise<unknown>
  #samples: SampleInput[] = []
  #lead: (Lead & { readonly holder: string; readonly heardAt: number }) | null = null
  /** Ids of those who share the steady checks of our region; empty: nobody has said so yet. */
  #sharers: readonly string[] = []
  #asked: ReadonlySet<string> = new Set()

  constructor(parts: MemberParts, policy: Policy) {
    this.#parts = parts
    this.#books = new Books(policy, parts.vantage)
    this.#warnings = new Warnings(parts.bus)
    const hooks = {
      verdictChanged: ignore,
      vantageTurned: ignore,
      answered: ignore,
      listed: ignore,
      hasOpen: () => false,
      serverAdded: ignore,
      serverRemoved: ignore,
    }
    const { signal } = this.#stopping
    this.#monitor = new Monitor(parts, this.#books, parts.bus, hooks, signal, this)
    this.#done = Promise.allSettled([this.#monitor.run(), parts.exchange.run(this, signal), this.#followPolicy(signal)])
  }

  /** Who leads, as far as it has told; null: nothing has been heard of one. */
  get leader(): FleetStatus['leader'] {
    return this.#lead && { holder: this.#lead.holder, token: this.#lead.token, since: this.#lead.since }
  }

  /** Samples that the host has handed to this engine: the leader gets them with the next post. */
  observe(samples: readonly SampleInput[]): void {
    for (const input of samples) {
      const sample = parseSample(input)
      if (sample.ok) this.#hand(sample.value)
      else
        this.#warnings.once('observe', 'invalid_row', `a sample from elsewhere is not taken (impossible): ${problemText(sample.problems)}`)
    }
  }

  /** Nothing is left behind. @param isStopping tells the leader that nobody is to wait for this engine */
  async end(isStopping: boolean): Promise<void> {
    this.#stopping.abort()
    await this.#done
    await this.#monitor.settled()
    if (!isStopping) return
    const bound = new AbortController()
    const timer = this.#parts.clock.setTimeout(() => bound.abort(), leaveTimeoutMs)
    await this.#parts.exchange.leave({ ...this.body(), leaves: true }, bound.signal)
    timer.cancel()
  }

  async #followPolicy(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const policy = await this.#parts.policy(signal)
        if (policy !== this.#books.policy) {
          this.#books.policy = policy
          this.#books.changed()
          this.#monitor.policyChanged()
        }
        this.#warnings.over('policy')
      } catch (error) {
        if (signal.aborted) return
        this.#warnings.once('policy', 'unavailable', `the stored policy cannot be read: ${errorText(error)}; the last one is kept`)
      }
      await sleep(this.#parts.clock, policyEveryMs, signal).catch(() => {})
    }
  }

  #hand(sample: SampleInput): void {
    this.#samples.push(sample)
    if (this.#samples.length > mostWaiting) this.#samples = this.#samples.slice(-mostWaiting / 2)
  }

  // -------------------------------------------------------------------------------------------------------------- role

  reads(from: string): boolean {
    return !this.#isLed() || from === this.#lead?.holder
  }

  #isLed(): boolean {
    return this.#lead !== null && this.#parts.clock.now() - this.#lead.heardAt <= silentMs
  }

  isUrgent(): boolean {
    return this.#asked.size > 0 || this.#samples.length > mostInPost
  }

  body(): Body {
    const { name, region } = this.#books.own
    return { version: 1, vantage: name, region, leaves: false, lead: null, samples: this.#samples.splice(0, mostInPost) }
  }

  take(from: string, { lead, leaves }: Body): void {
    if (!lead || leaves || lead.token < (this.#lead?.token ?? 0)) return
    this.#lead = { ...lead, holder: from, heardAt: this.#parts.clock.now() }
    const { region } = this.#books.own
    const ids = lead.members.filter((one) => one.region === region).map(({ id }) => id)
    this.#sharers = [...new Set([...ids, this.#parts.me])]
    const before = this.#asked
    this.#asked = new Set(lead.look)
    for (const server of lead.look) if (!before.has(server)) this.#monitor.hasten(server)
  }

  // ------------------------------------------------------------------------------------------------------------- share

  isShared(): boolean {
    return this.#sharers.length > 0
  }

  isOurs({ server }: ServerBook): boolean {
    return !this.isShared() || ownerOf(server.id, this.#sharers) === this.#parts.me
  }

  isAsked(server: ServerId): boolean {
    return this.#asked.has(server) && this.#isLed()
  }

  sampled(sample: Sample): void {
    this.#hand(sample)
  }
}
