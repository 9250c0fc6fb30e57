import type { Clock, Logger, SampleInput } from '@pintail/core'
import { batchLimits, parseBatch, type ReadSample, type Unreadable } from './batch.ts'
import { Sequence } from './sequence.ts'
import { ClockDifference } from './translation.ts'

/** Vantages that are remembered; the one that was silent for longest is forgotten first. */
const mostVantages = 256
/** Runs of one vantage whose clocks are remembered. */
const mostRuns = 8
/** A clock that is off by more than this is set wrong, and a message from so long ago is no news, milliseconds. */
const mostSkewMs = 3_600_000
/** Different troubles that are told, each once. */
const mostTold = 1000

/**
 * Why a message or a line of it is not taken. `forged`: it names another vantage than its subject. `flood`: more than
 * `maxSamplesPerSecond`. `late`: it lay on the broker for too long. `clock`: the vantage's clock is off by more than an hour.
 */
export type RefusedSamples = Unreadable | 'bad_line' | 'bad_subject' | 'forged' | 'doubled' | 'replayed' | 'flood' | 'late' | 'clock'

/** What has come from one vantage, and what was not taken. */
export interface VantageIntake {
  readonly vantage: string
  readonly messages: number
  readonly samples: number
  /** Messages, and for `bad_line` and `flood` samples, that were not taken, by reason. */
  readonly refused: Readonly<Partial<Record<RefusedSamples, number>>>
  /** Samples that the vantage itself could not deliver in time, and says so. */
  readonly lost: number
  /** When its last message came, by the engine's clock; null: never. */
  readonly heardAt: number | null
  /** How far its clock is from ours, milliseconds; null: not known. Positive: ours is ahead. */
  readonly skewMs: number | null
}

interface Vantage {
  readonly name: string
  readonly sequence: Sequence
  readonly clocks: Map<string, ClockDifference>
  readonly refused: Partial<Record<RefusedSamples, number>>
  readonly lostBy: Map<string, number>
  messages: number
  samples: number
  heardAt: number | null
  skewMs: number | null
  /** Samples that may come now; it fills with time. */
  allowance: number
  filledAt: number
}

export interface IntakeOptions {
  /** Of one vantage. */
  readonly maxSamplesPerSecond: number
  readonly clock: Clock
  readonly logger: Logger
}

/** From messages to samples: who sent them, whether they are new, and when they were made by our own clock. */
export class Intake {
  readonly #options: IntakeOptions
  readonly #vantages = new Map<string, Vantage>()
  /** From the broker's clock to ours. */
  readonly #broker = new ClockDifference()
  readonly #told = new Set<string>()
  #nobody = 0

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /**
   * @param name whose subject it came on; null: of nobody
   * @param storedAt when the broker stored it, by the broker's clock, milliseconds
   * @returns what is to be believed of it, with times by our clock. Never throws
   */
  take(name: string | null, data: Uint8Array, storedAt: number): readonly SampleInput[] {
    const now = this.#options.clock.now()
    this.#broker.learn(storedAt, now, now)
    if (name === null) {
      this.#nobody++
      this.#tell('', 'bad_subject', 'its subject names no vantage')
      return []
    }
    const vantage = this.#vantage(name, now)
    vantage.messages++
    const lagMs = now - storedAt - (this.#broker.ms ?? 0)
    // Before it is read: a backlog costs nothing.
    if (lagMs > batchLimits.agoMs) return this.#refuse(vantage, 'late', `it came ${Math.round(lagMs / 1000)} s ago`)
    if (!this.#mayCome(vantage, 1, now)) return this.#refuse(vantage, 'flood', this.#floodText())
    const read = parseBatch(data)
    if (!read.ok) return this.#refuse(vantage, read.why, read.message)
    const { batch, bad } = read
    if (batch.vantage !== name) return this.#refuse(vantage, 'forged', 'it was written in the name of another vantage')
    const seen = vantage.sequence.take(batch.run, batch.seq)
    if (seen !== 'new') return this.#refuse(vantage, seen, `number ${batch.seq} of its run`)
    vantage.heardAt = now
    lost(vantage, batch.run, batch.lost)
    if (bad > 0) this.#refuse(vantage, 'bad_line', 'a line that tells of no possible check', bad)
    const difference = this.#difference(vantage, batch.run, batch.at, storedAt, now)
    if (Math.abs(difference) > mostSkewMs) return this.#refuse(vantage, 'clock', `its clock is off by ${Math.round(difference / 1000)} s`)
    vantage.skewMs = difference
    const samples = this.#bounded(vantage, batch.samples, now)
    vantage.samples += samples.length
    // They are nobody else's, and a copy of each would cost as much as reading it.
    for (const sample of samples) sample.sentAt += difference
    return samples
  }

  /** From the clock of a run to ours. */
  #difference(vantage: Vantage, run: string, at: number, storedAt: number, now: number): number {
    const clock = vantage.clocks.get(run) ?? new ClockDifference()
    vantage.clocks.set(run, clock)
    for (const old of [...vantage.clocks.keys()].slice(0, -mostRuns)) vantage.clocks.delete(old)
    clock.learn(at, storedAt, now)
    return (clock.ms ?? 0) + (this.#broker.ms ?? 0)
  }

  /** As many as may come: the newest, if not all. */
  #bounded(vantage: Vantage, samples: readonly ReadSample[], now: number): readonly ReadSample[] {
    // One was taken for the message itself.
    const more = samples.length - 1
    if (more <= 0 || this.#mayCome(vantage, more, now)) return samples
    const taken = Math.floor(vantage.allowance)
    vantage.allowance -= taken
    this.#refuse(vantage, 'flood', this.#floodText(), more - taken)
    return samples.slice(more - taken)
  }

  #floodText(): string {
    return `more than ${this.#options.maxSamplesPerSecond} samples a second`
  }

  #mayCome(vantage: Vantage, count: number, now: number): boolean {
    const { maxSamplesPerSecond: rate } = this.#options
    // Two seconds' worth at once, and a whole message in any case.
    const most = Math.max(2 * rate, batchLimits.samples)
    vantage.allowance = Math.min(most, vantage.allowance + ((now - vantage.filledAt) * rate) / 1000)
    vantage.filledAt = now
    if (vantage.allowance < count) return false
    vantage.allowance -= count
    return true
  }

  #vantage(name: string, now: number): Vantage {
    const known = this.#vantages.get(name)
    if (known) {
      // The order of the map is who was heard last.
      this.#vantages.delete(name)
      this.#vantages.set(name, known)
      return known
    }
    const counts = { messages: 0, samples: 0, heardAt: null, skewMs: null, allowance: Number.POSITIVE_INFINITY, filledAt: now }
    const fresh: Vantage = { name, sequence: new Sequence(), clocks: new Map(), refused: {}, lostBy: new Map(), ...counts }
    this.#vantages.set(name, fresh)
    for (const old of [...this.#vantages.keys()].slice(0, -mostVantages)) this.#vantages.delete(old)
    return fresh
  }

  #refuse(vantage: Vantage, why: RefusedSamples, detail: string, count = 1): readonly SampleInput[] {
    vantage.refused[why] = (vantage.refused[why] ?? 0) + count
    // What is sent twice because an answer was lost is the way of every queue.
    if (why !== 'doubled') this.#tell(vantage.name, why, detail)
    return []
  }

  #tell(vantage: string, why: RefusedSamples, detail: string): void {
    const key = `${why}/${vantage}`
    if (this.#told.has(key) || this.#told.size >= mostTold) return
    this.#told.add(key)
    this.#options.logger.warn({ vantage, why, remedy: remedies[why] }, `samples of a vantage are not taken (${why}): ${detail}`)
  }

  report(): { readonly vantages: readonly VantageIntake[]; readonly nobody: number } {
    const vantages = [...this.#vantages.values()].map(({ name, messages, samples, refused, lostBy, heardAt, skewMs }) => {
      const lost = [...lostBy.values()].reduce((sum, one) => sum + one, 0)
      return { vantage: name, messages, samples, refused: { ...refused }, lost, heardAt, skewMs }
    })
    return { vantages, nobody: this.#nobody }
  }
}

/** Each run counts for itself, and from its first message on. */
function lost(vantage: Vantage, run: string, count: number): void {
  vantage.lostBy.set(run, Math.max(count, vantage.lostBy.get(run) ?? 0))
  for (const old of [...vantage.lostBy.keys()].slice(0, -mostRuns)) vantage.lostBy.delete(old)
}

const remedies: Record<RefusedSamples, string> = {
  oversized: 'Nothing of Pintail writes such a message: look who has the permission to publish there.',
  malformed: 'Nothing of Pintail writes such a message: look who has the permission to publish there.',
  bad_line: 'Nothing of Pintail writes such a line: look who has the permission to publish there.',
  bad_subject: 'Nothing of Pintail writes there: look who has the permission to publish there.',
  unknown_version: 'Bring the engine to the version of its vantages first.',
  forged: 'Give each vantage a NATS user of its own, with natsPermissions.',
  doubled: 'Nothing is to be done.',
  replayed: 'Look who else has the permission to publish there; one vantage must not be run twice under one name.',
  flood: 'Raise maxSamplesPerSecond if the fleet is so large; otherwise look what this vantage does.',
  late: 'The engine or the broker is too slow: status().vantages counts what comes.',
  clock: 'Set the clock of the vantage.',
}
