import { couldNotProbe, type DetectorState, doubt, forget, step, verdictOf } from '../decide/detector.ts'
import type { Books, ServerBook } from '../engine/books.ts'
import type { Clock } from '../ports.ts'
import type { Sample, Verdict, VerdictKind } from '../vocabulary.ts'

/** While a server is suspect, others are asked this often, so that a fresh control is there when it is needed, milliseconds. */
const askEveryMs = 1000
/** Reasons that are shared between servers. */
const mostReasons = 1000

export interface WitnessHooks {
  verdictChanged(book: ServerBook, previous: Verdict): void
  /** A host answered: what waits for a control may look again. */
  answered(): void
  /** Dense checks are due from now on. */
  suspected(book: ServerBook): void
  /** Other hosts are to be asked: one answer shows that the prober still has a network. */
  wantsControl(book: ServerBook): void
}

/** What samples mean: samples go through `decide/detector`, answers of others are kept as controls, canaries tell of the prober itself. */
export class Witness {
  readonly #clock: Clock
  readonly #books: Books
  readonly #hooks: WitnessHooks
  /** The newest answers of two different hosts, so that one of them is never the suspect itself. */
  #answers: { readonly key: string; readonly control: NonNullable<ServerBook['control']> }[] = []
  readonly #reasons = new Map<string, DetectorState['reasons']>()
  readonly #canariesFailing = new Set<string>()

  constructor(clock: Clock, books: Books, hooks: WitnessHooks) {
    this.#clock = clock
    this.#books = books
    this.#hooks = hooks
  }

  /** @param control who had answered when this check was sent */
  take(book: ServerBook, sample: Sample, control: ServerBook['control']): void {
    this.#books.note(book, sample)
    if (sample.received > 0) this.#answered(book.server.id, book.server.host, sample.sentAt)
    // While no canary answers this prober's word counts for nothing.
    if (this.isBlind()) return
    const { detect } = this.#books.policy
    // Asked before the verdict, because the verdict asks for it.
    if (sample.sentAt > book.detector.lastSentAt) book.control = control
    this.#judge(book, step(book.detector, sample, detect, this.#clock.now()))
    if (book.detector.verdict === 'suspect' && detect.confirm && this.#clock.now() - book.askedAt >= askEveryMs)
      this.#hooks.wantsControl(book)
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
    if (isStill('up', before, after)) {
      // In place: ten thousand new states a second that live for one interval each are what a garbage collector is worst at.
      Object.assign(before, after, { reasons: before.reasons })
      return
    }
    book.detector = after.verdict === 'up' ? { ...after, reasons: this.#shared(after.reasons) } : after
    if (before.verdict === after.verdict) return
    this.#books.changed(book.server.id)
    if (after.verdict === 'suspect' && this.#books.policy.detect.confirm) this.#hooks.suspected(book)
    if (after.verdict === 'down') this.#hooks.wantsControl(book)
    this.#hooks.verdictChanged(book, verdictOf(before))
  }
}

/** The same verdict for the same kind of reason: what it said first still holds. */
function isStill(verdict: VerdictKind, before: DetectorState, after: DetectorState): boolean {
  return before.verdict === verdict && after.verdict === verdict && before.reasons[0].code === after.reasons[0].code
}
