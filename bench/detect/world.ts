import type { DetectPolicy, Sample, ServerId, VerdictKind } from '@pintail/core'
import { alarmAt, clean } from '../../packages/core/src/detect/cusum.ts'
import { type DetectorState, newDetector, type Pace, paceOf, step } from '../../packages/core/src/detect/detector.ts'
import { nextTurn } from '../../packages/core/src/detect/turn.ts'
import { type Background, loses, newPath, type PathState, roundTripMs } from './path.ts'
import { vote } from './vote.ts'

/** The median round trip of a healthy server, milliseconds. */
export const usualRttMs = 40
/** Between the packets of one check, milliseconds, as the icmp prober sends them. */
const packetSpacingMs = 1000
/** The monitor's bounds: dense checks out at once, and for how long vantages that disagree look densely. */
const mostInFlight = 16
const openQuestionMs = 60_000

/** What is wrong with a server or its paths from the beginning of the world on. */
export interface Fault {
  /** Probability that a packet is lost on top of the background. */
  loss(now: number, vantage: number): number
  /** On top of each round trip, milliseconds. */
  readonly extraMs: number
}

export const healthy: Fault = { loss: () => 0, extraMs: 0 }

export interface Setting {
  readonly detect: DetectPolicy
  readonly vantages: number
  readonly background: Background
  readonly random: () => number
  readonly fault: Fault
  /** When any other host answered last: noted with each check that goes out. */
  readonly control?: () => number
}

interface Outstanding {
  readonly at: number
  readonly sentAt: number
  readonly sent: number
  readonly rttMs: readonly number[]
  readonly control: number
}

interface Vantage {
  state: DetectorState
  path: PathState
  dueAt: number
  outstanding: readonly Outstanding[]
  /** Milliseconds from the first to the last of the newest checks sent that will not be answered; null: the newest one will. */
  silentMs: number | null
  lastSentAt: number
}

/** The result of one check has come. */
export interface Judged {
  readonly vantage: number
  readonly state: DetectorState
  readonly sentAt: number
  readonly control: number
  readonly answered: boolean
}

/** The interval that the world begins in: longer ones are likelier to be met, as for a bus at the stop. */
function metInterval({ checkIntervalMs, jitter }: DetectPolicy, random: () => number): number {
  while (true) {
    const stretch = 1 + (random() * 2 - 1) * jitter
    if (random() * (1 + jitter) < stretch) return checkIntervalMs * stretch
  }
}

/** A server that has been well for long: its round trip is known. */
function wellKnown(): DetectorState {
  const roundTrip = { smoothedMs: usualRttMs, variationMs: usualRttMs * 0.17 }
  const grey = { ...clean(null), usualMs: usualRttMs, learnt: 720 }
  return { ...newDetector(-1), verdict: 'up', lastSentAt: -1, roundTrip, grey }
}

/**
 * One server and the vantages that look at it, in virtual time. Detection is the engine's own code; around it stands the
 * least that the monitor does: due times, checks under way, dense ones at once.
 */
export class World {
  readonly setting: Setting
  now = 0
  packets = 0
  verdict: VerdictKind = 'up'
  #vantages: Vantage[]
  #openedAt: number | null = null
  readonly #phaseMs: number

  /** @param start another world, to go on from the same moment; or the share of an interval until the next check, 0–1 */
  constructor(setting: Setting, start: World | number) {
    this.setting = setting
    const { detect, vantages, background, random } = setting
    if (typeof start !== 'number') {
      this.now = start.now
      this.packets = start.packets
      this.verdict = start.verdict
      this.#openedAt = start.#openedAt
      this.#phaseMs = start.#phaseMs
      this.#vantages = start.#vantages.map((one) => ({ ...one, path: { ...one.path } }))
      return
    }
    this.#phaseMs = Math.round(start * metInterval(detect, random))
    const first = Math.floor(random() * vantages)
    this.#vantages = Array.from({ length: vantages }, (_, index) => ({
      state: wellKnown(),
      path: newPath(background, random),
      dueAt: this.#phaseMs + ((index + first) % vantages) * detect.checkIntervalMs,
      outstanding: [],
      silentMs: null,
      lastSentAt: 0,
    }))
  }

  get states(): readonly DetectorState[] {
    return this.#vantages.map(({ state }) => state)
  }

  /** Nothing is out, and nobody suspects anything. */
  get isQuiet(): boolean {
    return this.#vantages.every((one) => one.outstanding.length === 0 && isQuiet(one.state))
  }

  /** How near to a (false) `down`: 0 while nobody suspects anything, 1 when it is there. */
  get nearness(): number {
    if (this.verdict === 'down') return 1
    const each = this.#vantages.map((one) => nearnessOf(one, this.setting.detect)).sort((a, b) => b - a)
    const needed = this.setting.vantages === 1 ? 1 : 2
    return Math.min(0.999, each.slice(0, needed).reduce((sum, one) => sum + one, 0) / needed)
  }

  /** Goes on to what happens next: a check goes out (null), or one comes back. */
  advance(): Judged | null {
    let next = 0
    let back = -1
    let at = Number.POSITIVE_INFINITY
    for (const [index, { dueAt, outstanding }] of this.#vantages.entries()) {
      if (dueAt < at) [at, next, back] = [dueAt, index, -1]
      for (const [place, one] of outstanding.entries()) if (one.at <= at) [at, next, back] = [one.at, index, place]
    }
    this.now = at
    const vantage = this.#vantages[next] as Vantage
    if (back >= 0) return this.#judge(vantage, next, back)
    this.#due(vantage, next)
    return null
  }

  #isOpen(): boolean {
    return this.#openedAt !== null && this.now - this.#openedAt < openQuestionMs
  }

  #paceOf({ state }: Vantage): Pace {
    return paceOf(state, this.setting.detect, { now: this.now, asked: this.#isOpen() })
  }

  #due(vantage: Vantage, index: number): void {
    const { random, fault, background, control, detect } = this.setting
    const pace = this.#paceOf(vantage)
    vantage.dueAt = this.#nextDue(pace, index)
    if (vantage.outstanding.length >= (pace.dense ? mostInFlight : 1)) return
    const rttMs: number[] = []
    let at = this.now
    for (let packet = 0; packet < pace.packets; packet++) {
      const sentAt = this.now + packet * packetSpacingMs
      const extra = fault.loss(sentAt, index)
      const isLost = loses(vantage.path, background, sentAt, random) || (extra > 0 && random() < extra)
      const rtt = isLost ? Number.POSITIVE_INFINITY : fault.extraMs + roundTripMs(usualRttMs, random)
      if (rtt <= pace.timeoutMs) rttMs.push(rtt)
      at = Math.max(at, sentAt + Math.min(rtt, pace.timeoutMs))
    }
    this.packets += pace.packets
    vantage.silentMs = rttMs.length > 0 ? null : vantage.silentMs === null ? 0 : vantage.silentMs + this.now - vantage.lastSentAt
    vantage.lastSentAt = this.now
    // A good answer to a steady check changes nothing that matters later: it is not looked at, to save time.
    const slowest = Math.max(...rttMs)
    if (
      rttMs.length === pace.packets &&
      slowest < detect.latencyThresholdMs &&
      slowest < 2 * usualRttMs &&
      isQuiet(vantage.state) &&
      !control
    )
      return
    const out = { at, sentAt: this.now, sent: pace.packets, rttMs, control: control?.() ?? 0 }
    vantage.outstanding = [...vantage.outstanding, out]
  }

  #nextDue(pace: Pace, index: number): number {
    const { detect, vantages, random } = this.setting
    if (pace.dense) return this.now + pace.intervalMs
    const jitterMs = (random() * 2 - 1) * detect.jitter * pace.intervalMs
    if (vantages === 1) return Math.round(this.now + pace.intervalMs + jitterMs)
    // Half a turn later than now: jitter must not make a turn of its own.
    return Math.max(
      this.now,
      Math.round(nextTurn(this.now + pace.intervalMs / 2, pace.intervalMs, { index, vantages }, this.#phaseMs) + jitterMs),
    )
  }

  #judge(vantage: Vantage, index: number, place: number): Judged {
    const { detect } = this.setting
    const { sentAt, sent, rttMs, control } = vantage.outstanding[place] as Outstanding
    vantage.outstanding = vantage.outstanding.filter((_, other) => other !== place)
    const sample: Sample = {
      serverId: 's' as ServerId,
      vantage: `${index}`,
      prober: 'icmp',
      sentAt,
      sent,
      received: rttMs.length,
      rttMs,
      failure: null,
    }
    const before = this.#vantages.map((one) => this.#paceOf(one))
    vantage.state = step(vantage.state, sample, detect, this.now)
    this.#count()
    for (const [other, one] of this.#vantages.entries()) {
      const pace = this.#paceOf(one)
      if (pace.dense && pace.intervalMs < (before[other] as Pace).intervalMs) one.dueAt = Math.min(one.dueAt, this.now + pace.intervalMs)
      else if (!pace.dense && (before[other] as Pace).dense && this.setting.vantages > 1) one.dueAt = this.#nextDue(pace, other)
    }
    return { vantage: index, state: vantage.state, sentAt, control, answered: rttMs.length > 0 }
  }

  /** All vantages look densely while one suspects, or while they disagree; not for ever. */
  #count(): void {
    const verdicts = this.#vantages.map(({ state }) => state.verdict)
    this.verdict = vote(verdicts)
    if (verdicts.length === 1) return
    const isOpen = verdicts.includes('suspect') || new Set(verdicts).size > 1
    if (!isOpen) this.#openedAt = null
    else this.#openedAt ??= this.now
  }
}

function isQuiet({ verdict, failures, grey }: DetectorState): boolean {
  return verdict === 'up' && failures === 0 && (grey === null || (grey.loss.score === 0 && grey.slow.score === 0))
}

/** Knows what the detector cannot know yet: which of the packets that are out will not come back. */
function nearnessOf({ state, silentMs }: Vantage, detect: DetectPolicy): number {
  if (state.verdict === 'down') return 1
  const { confirm } = detect
  const silence = !confirm
    ? state.failures / detect.migrationThreshold
    : silentMs === null
      ? 0
      : (silentMs + confirm.intervalMs) / (confirm.durationMs + 4 * confirm.intervalMs)
  const { grey } = state
  const evidence = detect.detector === 'cusum' && grey ? Math.max(grey.loss.score, grey.slow.score) / alarmAt(detect) : 0
  return Math.min(0.999, Math.max(silence, evidence))
}
