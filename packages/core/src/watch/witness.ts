import { type Books, kindFor, type ServerBook, verdictFor } from '../books/books.ts'
import { controlFreshMs } from '../decide/guard.ts'
import { couldNotProbe, type DetectorState, doubt, forget, paceOf, step, verdictOf } from '../detect/detector.ts'
import { type Ballot, count, voicesOf } from '../detect/votes.ts'
import type { Clock } from '../ports.ts'
import type { DetectPolicy, Sample, VantageReport, Verdict, VerdictKind } from '../vocabulary.ts'
import type { Refusal } from './observations.ts'
import { Tuned } from './tuned.ts'
import { proofOf, type Turned, Vantages, voteOf } from './vantages.ts'

/** While a server is suspect, others are asked this often, so that a fresh control is there when it is needed, milliseconds. */
const askEveryMs = 1000
/** A passive signal is evidence for so long, and starts at most one confirmation of a server in that time, milliseconds. */
const passiveFreshMs = 60_000
/** Our own vantage looks closely for at most so long after others have begun to see a failure that it does not, milliseconds. */
const lookCloselyMs = 30_000

/** What our own vantage has not looked at for longer it has no word on, where another engine looks; milliseconds, or twice the pace. */
const lookedAwayMs = 10_000

/** Reasons that are shared between servers. */
const mostReasons = 1000

const quiet: readonly VerdictKind[] = ['up', 'unknown']

export interface WitnessHooks {
  /** @param audience null: for everybody */
  verdictChanged(book: ServerBook, previous: Verdict, audience: string | null): void
  /** A host answered: what waits for a control may look again. */
  answered(): void
  /** Dense checks are due from now on. */
  hastened(book: ServerBook): void
  /** Other hosts are to be asked: one answer shows that the prober still has a network. */
  wantsControl(book: ServerBook): void
  /** The policy names other vantages: regions whose vantages are too few to decide for them. */
  cannotDecide(regions: readonly [region: string, many: number][]): void
  /** A vantage elsewhere counts again, or does not any more. */
  vantageTurned(turned: Turned): void
  /** Whether other engines share the steady checks with us. */
  isShared(): boolean
}

/**
 * What samples mean: those of our own vantage go through `detect/detector`, answers of others are kept as controls,
 * canaries tell of the prober itself. With vantages elsewhere `detect/votes` counts what all of them say.
 */
export class Witness {
  readonly #clock: Clock
  readonly #books: Books
  readonly #hooks: WitnessHooks
  readonly #vantages: Vantages
  #least = 0
  readonly #prober: string
  readonly #tuned: Tuned
  /** The newest answers of two different hosts, so that one of them is never the suspect itself. */
  #answers: { readonly key: string; readonly control: NonNullable<ServerBook['control']> }[] = []
  readonly #reasons = new Map<string, DetectorState['reasons']>()
  readonly #canariesFailing = new Set<string>()
  /** Down by our own vantage alone, and no other host has answered it since: its vote waits for that. */
  readonly #unproven = new Set<ServerBook>()
  #heardAt: number | null = null
  #samples = 0

  /** @param prober the name of our own */
  constructor(clock: Clock, books: Books, prober: string, hooks: WitnessHooks) {
    this.#clock = clock
    this.#books = books
    this.#prober = prober
    this.#hooks = hooks
    this.#vantages = new Vantages(books)
    this.#tuned = new Tuned(books)
  }

  /** By what checks of a server are judged: several vantages need a shorter confirmation, a large fleet a longer one. */
  detectFor(book: ServerBook, prober = this.#prober): DetectPolicy {
    return this.#tuned.for(book.server.id, prober, 1 + (this.#vantages.any ? this.#vantages.looking(book, this.#clock.now()) : 0))
  }

  /** @param control who had answered when this check was sent */
  take(book: ServerBook, sample: Sample, control: ServerBook['control']): void {
    this.#books.note(book, sample)
    this.#heardAt = this.#clock.now()
    this.#samples++
    if (sample.received > 0) this.#answered(book.server.id, book.server.host, sample.sentAt)
    // While no canary answers this prober's word counts for nothing.
    if (this.isBlind()) return
    const detect = this.detectFor(book)
    // Asked before the verdict, because the verdict asks for it.
    if (sample.sentAt > book.detector.lastSentAt) book.control = control
    this.#judge(book, step(book.detector, sample, detect, this.#clock.now()))
    const wants = book.detector.verdict === 'suspect' || this.#unproven.has(book)
    // Without fast confirmation the steady checks of others are the controls; those may be another engine's.
    const asks = detect.confirm !== null || this.#hooks.isShared()
    if (wants && asks && this.#clock.now() - book.askedAt >= askEveryMs) this.#hooks.wantsControl(book)
  }

  /** A probe that could not be made: no evidence. */
  couldNot(book: ServerBook, why: string): void {
    this.#judge(book, couldNotProbe(book.detector, `it could not be probed: ${why}`, this.#clock.now()))
  }

  /** A `down` without a control is worth nothing: back to a suspicion, confirmed from now on. */
  startOver(book: ServerBook): void {
    this.#judge(book, doubt(book.detector, this.#clock.now()))
  }

  /** The newest answer of any other host. */
  controlFor(server: string): { readonly host: string; readonly at: number } | null {
    return this.#answers.find(({ key }) => key !== server)?.control ?? null
  }

  /** True while canaries are configured and none of them answers. */
  isBlind(): boolean {
    const canaries = this.#books.policy.detect.canaries.length
    return canaries > 0 && this.#canariesFailing.size >= canaries
  }

  takeCanary(key: string, host: string, sample: Sample): void {
    const wasBlind = this.isBlind()
    if (sample.received > 0) {
      this.#canariesFailing.delete(key)
      this.#answered(key, host, sample.sentAt)
    } else this.#canariesFailing.add(key)
    if (wasBlind || !this.isBlind()) return
    const reason = {
      code: 'vantage_unhealthy',
      message: 'no canary answers: this prober has lost its own network',
    } as const
    for (const book of this.#books.servers.values()) this.#judge(book, forget(book.detector, reason, this.#clock.now()))
  }

  /** It is no canary any more. */
  forgetCanary(key: string): void {
    this.#canariesFailing.delete(key)
  }

  #answered(key: string, host: string, at: number): void {
    const others = this.#answers.filter((answer) => answer.key !== key)
    this.#answers = [{ key, control: { host, at } }, ...others].sort((a, b) => b.control.at - a.control.at).slice(0, 2)
    for (const book of this.#unproven) if ((this.controlFor(book.server.id)?.at ?? 0) > book.detector.lastSentAt) this.startOver(book)
    this.#hooks.answered()
  }

  /** Most servers of a fleet are up for the same few reasons: each is kept once. */
  #shared(reasons: DetectorState['reasons']): DetectorState['reasons'] {
    const key = reasons.map(({ message }) => message).join('\n')
    const known = this.#reasons.get(key)
    if (known) return known
    if (this.#reasons.size >= mostReasons) this.#reasons.clear()
    this.#reasons.set(key, reasons)
    return reasons
  }

  #judge(book: ServerBook, after: DetectorState): void {
    const before = book.detector
    if (!this.#vantages.any && !book.tally && isStill(before, after)) {
      // In place: ten thousand new states a second that live for one interval each are what a garbage collector is worst at.
      Object.assign(before, after, { reasons: before.reasons })
      return
    }
    const seen = this.#seen(book)
    book.detector = isWell(after) ? { ...after, reasons: this.#shared(after.reasons) } : after
    if (before.verdict !== after.verdict) {
      this.#books.changed(book.server.id)
      if (after.verdict === 'down') this.#hooks.wantsControl(book)
    }
    const detect = this.detectFor(book)
    const pace = paceOf(after, detect)
    // What has become urgent does not wait for the turn that it had.
    if (pace.dense && pace.intervalMs < paceOf(before, detect).intervalMs) this.#hooks.hastened(book)
    this.#weigh(book, seen)
  }

  // -------------------------------------------------------------------------------------------------- vantages elsewhere

  /** A sample from elsewhere. @returns why it is not taken; null: it is */
  observe(sample: Sample): Refusal | null {
    this.#adopt()
    const { vantage, serverId } = sample
    const isPassive = sample.prober.startsWith('passive:')
    if (vantage === this.#books.own.name) {
      if (!isPassive) return 'own_vantage'
    } else if (!this.#vantages.has(vantage)) return 'unknown_vantage'
    const now = this.#clock.now()
    const canary = /^canary:(.+)$/s.exec(serverId)?.[1]
    const book = this.#books.servers.get(serverId)
    if (isPassive) return book ? this.#signal(book, sample, now) : 'unknown_server'
    if (canary === undefined && !book) return 'unknown_server'
    const seen = book && this.#seen(book)
    const turned = book
      ? this.#vantages.take(book, sample, this.detectFor(book, sample.prober), now)
      : this.#vantages.takeCanary(sample, canary?.slice(0, 255) ?? '', now)
    if (turned === null) return 'not_newer'
    if (book && seen) this.#weigh(book, seen)
    this.#turned(turned)
    return null
  }

  /** Somebody noticed something: reason enough to look closely, and never a verdict. */
  #signal(book: ServerBook, sample: Sample, now: number): Refusal | null {
    const known = book.passive?.get(sample.vantage)
    if (known && sample.sentAt <= known.sentAt) return 'not_newer'
    const seen = this.#seen(book)
    book.passive ??= new Map()
    book.passive.set(sample.vantage, { sentAt: sample.sentAt, at: now, fails: sample.received === 0, prober: sample.prober })
    const isNews = sample.received === 0 && now - book.signalledAt >= passiveFreshMs
    if (isNews && book.detector.verdict === 'up' && this.#books.policy.detect.confirm) {
      book.signalledAt = now
      this.#judge(book, { ...doubt(book.detector, now), reasons: [{ code: 'no_reply', message: `${sample.prober} tells of a failure` }] })
    } else this.#weigh(book, seen)
    return null
  }

  #hasPassive(book: ServerBook, audience: string): boolean {
    const since = this.#clock.now() - passiveFreshMs
    for (const [vantage, { at, fails }] of book.passive ?? []) {
      const region = vantage === this.#books.own.name ? this.#books.own.region : this.#vantages.regionOf(vantage)
      if (fails && at >= since && (region === null || region === audience)) return true
    }
    return false
  }

  /** To be called now and then: silence and age are told by time alone. */
  sweep(): void {
    const isOther = this.#adopt()
    if (!this.#vantages.any && !isOther) return
    const turned = this.#vantages.sweep(this.#clock.now())
    this.#turned(turned)
    if (isOther) this.#weighAll()
  }

  #adopt(): boolean {
    const isOther = this.#vantages.adopt(this.#clock.now())
    const { minAudienceVantages: least } = this.#books.policy.detect
    if (isOther || least !== this.#least) this.#hooks.cannotDecide(this.#vantages.few(least))
    this.#least = least
    return isOther
  }

  #turned(turned: readonly Turned[]): void {
    for (const one of turned) if (one.isNews) this.#hooks.vantageTurned(one)
    if (turned.length > 0) this.#weighAll()
  }

  #weighAll(): void {
    for (const book of this.#books.servers.values()) this.#weigh(book, this.#seen(book))
  }

  // ------------------------------------------------------------------------------------------------------------- votes

  #seen(book: ServerBook): { readonly global: Verdict; readonly tally: ServerBook['tally'] } {
    return { global: verdictFor(book, null), tally: book.tally }
  }

  /** Counts the votes anew, and tells for whom that changes something. */
  #weigh(book: ServerBook, before: { readonly global: Verdict; readonly tally: ServerBook['tally'] }): void {
    const { differSince } = book
    book.tally = this.#vantages.any ? this.#count(book) : null
    // Told only now, because the pace goes by what is counted.
    if (differSince === null && book.differSince !== null) this.#hooks.hastened(book)
    if (!this.#vantages.any) this.#unproven.delete(book)
    const after = verdictFor(book, null)
    const audiences = new Set([...(before.tally?.audiences.keys() ?? []), ...(book.tally?.audiences.keys() ?? [])])
    const changed: [Verdict, string | null][] = before.global.verdict === after.verdict ? [] : [[before.global, null]]
    for (const audience of audiences) {
      const was = before.tally?.audiences.get(audience) ?? before.global
      const is = kindFor(book, audience)
      // What nobody knows is told of the vantage.
      const isQuiet = quiet.includes(was.verdict) && quiet.includes(is) && !this.#books.incidents.of(book.server.id, audience)
      if (was.verdict !== is && !isQuiet) changed.push([was, audience])
    }
    if (changed.length === 0) return
    this.#books.changed(book.server.id)
    for (const [previous, audience] of changed) this.#hooks.verdictChanged(book, previous, audience)
  }

  #count(book: ServerBook): ServerBook['tally'] {
    const { detect } = this.#books.policy
    const { own } = this.#books
    const now = this.#clock.now()
    book.proof = proofOf(book.detector, book.control, book.proof, controlFreshMs(detect))
    const vote = this.#hasLookedAway(book, now) ? abstention(own.name, now) : voteOf(own.name, book.detector, book.proof)
    const mine: Ballot = { ...vote, region: own.region, isOwn: true }
    const ballots = [mine, ...this.#vantages.ballots(book, now)]
    const hasPassive = (audience: string): boolean => this.#hasPassive(book, audience)
    const said = { verdict: verdictOf(book.detector), region: own.region }
    const tally = count(
      { ballots: voicesOf(ballots), own: said, regions: this.#books.regions, minVotes: detect.minAudienceVantages, hasPassive, now },
      book.tally,
    )
    // Where it alone decides, the responder waits for the control.
    if (tally.global && book.detector.verdict === 'down' && !book.proof) this.#unproven.add(book)
    else this.#unproven.delete(book)
    const differ = mine.verdict !== 'down' && ballots.some(({ isOwn, verdict }) => !isOwn && (verdict === 'suspect' || verdict === 'down'))
    if (!differ) book.differSince = null
    else if (detect.confirm) book.differSince ??= now
    return tally
  }

  /** Whether our own vantage looks at it as closely as at a suspect, because others say that it is down. */
  looksClosely({ differSince, tally, detector }: ServerBook): boolean {
    if (differSince === null || this.#clock.now() - differSince > lookCloselyMs) return false
    // Whoever stands where we do has no vote beside ours: it is looked at once, at least.
    if (detector.lastSentAt < differSince) return true
    return tally?.global?.verdict === 'suspect' || [...(tally?.audiences.values() ?? [])].some(({ verdict }) => verdict === 'suspect')
  }

  /** Another engine looks at it at the steady pace, and we have not looked for long: what we saw then is no word any more. */
  #hasLookedAway(book: ServerBook, now: number): boolean {
    const oldMs = Math.max(lookedAwayMs, 2 * this.#books.policy.detect.checkIntervalMs)
    return book.detector.verdict === 'up' && now - book.detector.lastSentAt > oldMs && this.#hooks.isShared()
  }

  /** Whether a vantage elsewhere has just seen this server up, and nobody says otherwise, for whomever; neither do we. */
  isSeenUp(book: ServerBook, vantage: string): boolean {
    const { detector, tally } = book
    if (kindFor(book, null) !== 'up' || (detector.verdict !== 'up' && detector.verdict !== 'unknown')) return false
    if ([...(tally?.audiences.values() ?? [])].some(({ verdict }) => verdict === 'suspect' || verdict === 'down')) return false
    return this.#vantages.sees(book, vantage, this.#clock.now())
  }

  /** Whether the word of a vantage elsewhere counts. */
  isHealthy(vantage: string): boolean {
    return this.#vantages.isHealthy(vantage)
  }

  /** Every vantage, the own one first. */
  report(): VantageReport[] {
    const { name, region } = this.#books.own
    const why = this.isBlind() ? 'no canary answers: this prober has lost its own network' : null
    const usualMs = this.#books.policy.detect.checkIntervalMs
    const own = { name, region, isOwn: true, healthy: why === null, why, heardAt: this.#heardAt, usualMs, samples: this.#samples }
    return [own, ...this.#vantages.report()]
  }
}

const abstention = (vantage: string, since: number) =>
  ({ vantage, verdict: 'unknown', since, reason: 'abstains: another engine looks at it' }) as const

/** It answers, and nothing speaks against it. */
const isWell = ({ verdict, reasons }: DetectorState): boolean => verdict === 'up' && reasons[0].code === 'answers'

/** As well as before: what it said first still holds. */
const isStill = (before: DetectorState, after: DetectorState): boolean => isWell(before) && isWell(after)
