import type { Books, Control, ServerBook } from '../books/books.ts'
import { noControl } from '../decide/guard.ts'
import { type DetectorState, newDetector, step } from '../detect/detector.ts'
import type { Ballot } from '../detect/votes.ts'
import type { DetectPolicy, Sample, VantageReport, Vote } from '../vocabulary.ts'

/** Samples of one server from one vantage that are kept as evidence. */
const keptSamples = 5
/**
 * Of each so many milliseconds two answers of different hosts are kept, this many in all. A failing check is known only when its time is
 * up: by then others have answered that were asked later than it, and those asked before it are the ones that prove something.
 */
const answersEveryMs = 200
const mostAnswers = 64
/** A vantage is silent after so many of its usual pauses, and not before this time, milliseconds. */
const silentPauses = 4
const silentFloorMs = 10_000

interface Vantage {
  readonly name: string
  region: string | null
  readonly place: string
  readonly adoptedAt: number
  /** When anything last came, and when a host last answered there; 0: never. */
  heardAt: number
  answeredAt: number
  /** The newest sample, by the vantage's own clock. */
  newest: number
  usualMs: number
  /** Null: its word counts. */
  why: string | null
  samples: number
  /** Newest first; two of different hosts for a time, so that one of them is never the suspect itself. */
  answers: readonly (Control & { readonly key: string })[]
  /** Canaries: whether the newest sample of each failed, and when it came. */
  readonly canaries: Map<string, { readonly fails: boolean; readonly at: number }>
  /** It was told that its word does not count. */
  isLost: boolean
}

/** A vantage whose word counts again, or does not any more. */
export interface Turned {
  readonly vantage: string
  readonly region: string | null
  /** Null: it counts. */
  readonly why: string | null
  /** Whether that is to be told: not while a new one has hardly begun. */
  readonly isNews: boolean
}

/** A vantage from which nothing came for longer is silent; what it said of a server longer ago is no word any more. */
const silentMs = ({ usualMs }: Vantage): number => Math.max(silentFloorMs, silentPauses * usualMs)

/** Whether this `down` has another host's answer behind it, seen from the same place: then, once and for all. */
export function proofOf(
  { verdict, suspectedAt, lastSentAt }: DetectorState,
  control: Control | null,
  before: Control | null,
  freshMs: number,
) {
  if (verdict !== 'down') return null
  return before ?? (noControl(suspectedAt ?? lastSentAt, lastSentAt, control, freshMs) === null ? control : null)
}

/** The word of a detector as a vote. A `down` that no answer of another host stands behind is none: the vantage may be the broken one. */
export function voteOf(vantage: string, { verdict, since, reasons }: DetectorState, proof: Control | null): Vote {
  if (verdict === 'down' && !proof)
    return { vantage, verdict: 'unknown', since, reason: `abstains: no other host has answered there since; ${reasons[0].message}` }
  return { vantage, verdict, since, reason: reasons[0].message }
}

/**
 * The vantages elsewhere: who they are, whether their word counts, and what each has seen of each server. A vantage is not
 * healthy while nothing comes from it, while no host answers there, or while none of its canaries does; then it abstains,
 * and coming back it begins afresh.
 */
export class Vantages {
  readonly #books: Books
  readonly #vantages = new Map<string, Vantage>()
  #adopted: DetectPolicy['vantages'] | null = null

  constructor(books: Books) {
    this.#books = books
  }

  /** True where there are vantages elsewhere: the policy names them, or other engines see for this one. */
  get any(): boolean {
    return this.#vantages.size > 0
  }

  has(name: string): boolean {
    return this.#vantages.has(name)
  }

  regionOf(name: string): string | null {
    return this.#vantages.get(name)?.region ?? null
  }

  /** Regions that have vantages, the own one included, but fewer than may decide there, with how many that is. */
  few(least: number): [region: string, many: number][] {
    const { own, regions } = this.#books
    const all = [...this.#vantages.values(), { ...own, place: own.name }]
    const places = (name: string) => new Set(all.flatMap(({ region, place }) => (region === name ? place : [])))
    const counted = [...regions].map((name): [string, number] => [name, places(name).size])
    return counted.filter(([, many]) => many < least)
  }

  /** Takes on the vantages that there are now. @returns whether anything is another than before */
  adopt(now: number): boolean {
    const { places, policy } = this.#books
    const { checkIntervalMs } = policy.detect
    const vantages = places.elsewhere(policy.detect)
    if (vantages === this.#adopted) return false
    this.#adopted = vantages
    for (const name of [...this.#vantages.keys()]) if (!Object.hasOwn(vantages, name)) this.#forget(name, true)
    for (const [name, { region = null, place = name }] of Object.entries(vantages)) {
      if (name === this.#books.own.name) continue
      const known = this.#vantages.get(name)
      if (known) known.region = region
      else {
        const times = { adoptedAt: now, heardAt: 0, answeredAt: 0, newest: 0, usualMs: checkIntervalMs, samples: 0 }
        const state = { why: 'nothing has come from it yet', isLost: false, answers: [], canaries: new Map() }
        this.#vantages.set(name, { name, region, place, ...times, ...state })
      }
    }
    return true
  }

  #forget(name: string, isGone: boolean): void {
    if (isGone) this.#vantages.delete(name)
    for (const { views } of this.#books.servers.values()) views?.delete(name)
  }

  // ----------------------------------------------------------------------------------------------------------- samples

  /** A host that this vantage knows to be reachable. @returns null if it tells nothing new */
  takeCanary(sample: Sample, host: string, now: number): readonly Turned[] | null {
    const vantage = this.#vantages.get(sample.vantage) as Vantage
    // Bounded: the oldest is forgotten.
    if (!vantage.canaries.has(host) && vantage.canaries.size >= 16) vantage.canaries.delete([...vantage.canaries.keys()][0] as string)
    if (sample.sentAt <= vantage.newest && vantage.why !== null) return null
    vantage.canaries.set(host, { fails: sample.received === 0, at: now })
    this.#heard(vantage, sample, host, now)
    return this.#judge(vantage, now)
  }

  /** @returns null if it is not newer than what was known */
  take(book: ServerBook, sample: Sample, detect: DetectPolicy, now: number): readonly Turned[] | null {
    const vantage = this.#vantages.get(sample.vantage) as Vantage
    const last = book.views?.get(vantage.name)?.detector.lastSentAt ?? book.strangeSince
    // What is only repeated brings no silent one back.
    if (sample.sentAt <= last || (vantage.why !== null && sample.sentAt <= vantage.newest)) return null
    this.#heard(vantage, sample, book.server.host, now)
    const turned = this.#judge(vantage, now)
    if (vantage.why !== null) return turned
    const before = book.views?.get(vantage.name) ?? { detector: newDetector(now), samples: [], at: now, proof: null }
    const detector = step(before.detector, sample, detect, now)
    // Only the steady pace is usual: suspects are asked more often.
    if (before.detector.verdict === 'up' && detector.verdict === 'up') {
      const pause = Math.min(3_600_000, sample.sentAt - before.detector.lastSentAt)
      vantage.usualMs += (pause - vantage.usualMs) / 8
    }
    const control = vantage.answers.find(({ key, at }) => key !== sample.serverId && at <= sample.sentAt) ?? null
    // Later than the suspicion, not only as late: one sweep of all servers may carry one time, and break off within.
    const later = control && control.at > (detector.suspectedAt ?? 0) ? { host: control.host, at: control.at } : null
    const proof = proofOf(detector, later, before.proof, Math.max(2000, 1.5 * vantage.usualMs))
    book.views ??= new Map()
    book.views.set(vantage.name, { detector, samples: [...before.samples.slice(1 - keptSamples), sample], at: now, proof })
    return turned
  }

  #heard(vantage: Vantage, sample: Sample, host: string, now: number): void {
    vantage.heardAt = now
    vantage.newest = Math.max(vantage.newest, sample.sentAt)
    vantage.samples++
    if (sample.received === 0) return
    vantage.answeredAt = now
    const answer = { key: sample.serverId, host, at: sample.sentAt }
    const slotOf = ({ at }: Control): number => Math.floor(at / answersEveryMs)
    const beside = vantage.answers.filter((one) => slotOf(one) === slotOf(answer))
    const same = beside.find(({ key }) => key === answer.key)
    if (same ? same.at >= answer.at : beside.length > 1) return
    const others = vantage.answers.filter((one) => one !== same)
    vantage.answers = [answer, ...others].sort((a, b) => b.at - a.at).slice(0, mostAnswers)
  }

  // ------------------------------------------------------------------------------------------------------------ health

  /** To be called now and then: silence is told by time alone. */
  sweep(now: number): Turned[] {
    return [...this.#vantages.values()].flatMap((vantage) => this.#judge(vantage, now))
  }

  #judge(vantage: Vantage, now: number): Turned[] {
    const { name, region, adoptedAt, isLost } = vantage
    const counted = vantage.why === null
    vantage.why = this.#whyNot(vantage, now)
    const counts = vantage.why === null
    if (counted && !counts) this.#forget(name, false)
    const isNews = counts ? isLost : !isLost && (counted || now - adoptedAt > silentMs(vantage))
    if (isNews) vantage.isLost = !counts
    return counted === counts && !isNews ? [] : [{ vantage: name, region, why: vantage.why, isNews }]
  }

  #whyNot(vantage: Vantage, now: number): string | null {
    const { heardAt, answeredAt, canaries } = vantage
    const since = now - silentMs(vantage)
    if (heardAt === 0) return 'nothing has come from it yet'
    if (heardAt < since) return `nothing has come from it for ${Math.round((now - heardAt) / 1000)} s`
    const asked = [...canaries.values()].filter(({ at }) => at >= since)
    if (asked.length > 0 && asked.every(({ fails }) => fails)) return 'none of its canaries answers: it has lost its own network'
    if (answeredAt === 0) return 'no host has answered there yet'
    return answeredAt < since ? `no host has answered there for ${Math.round((now - answeredAt) / 1000)} s` : null
  }

  // ------------------------------------------------------------------------------------------------------------- votes

  /** What each of them says of a server now; what it has not looked at for long is no word any more. */
  ballots({ views }: ServerBook, now: number): Ballot[] {
    return [...this.#vantages.values()].map((vantage): Ballot => {
      const { name, region, place, why } = vantage
      const rest = { region, place, isOwn: false }
      const abstains = (reason: string): Ballot => ({
        vantage: name,
        verdict: 'unknown',
        since: now,
        reason: `abstains: ${reason}`,
        ...rest,
      })
      if (why !== null) return abstains(why)
      const view = views?.get(name)
      if (!view) return abstains('it has not looked yet')
      if (now - view.at > silentMs(vantage)) return abstains(`it has not looked for ${Math.round((now - view.at) / 1000)} s`)
      return { ...voteOf(name, view.detector, view.proof), ...rest }
    })
  }

  /** How many other places than our own have a word on this server that counts. */
  looking({ views }: ServerBook, now: number): number {
    const places = new Set<string>()
    for (const [name, { at }] of views ?? []) {
      const vantage = this.#vantages.get(name)
      if (vantage?.why === null && now - at <= silentMs(vantage)) places.add(vantage.place)
    }
    places.delete(this.#books.own.name)
    return places.size
  }

  /** Whether one of them has seen this server up just now, and its word counts. */
  sees({ views }: ServerBook, name: string, now: number): boolean {
    const vantage = this.#vantages.get(name)
    const view = views?.get(name)
    return vantage?.why === null && view?.detector.verdict === 'up' && now - view.at <= silentMs(vantage)
  }

  /** Whether the word of a vantage counts at all now. */
  isHealthy(name: string): boolean {
    return this.#vantages.get(name)?.why === null
  }

  report(): VantageReport[] {
    return [...this.#vantages.values()].map(({ name, region, why, heardAt, usualMs, samples }) => ({
      name,
      region,
      isOwn: false,
      healthy: why === null,
      why,
      heardAt: heardAt || null,
      usualMs: Math.round(usualMs),
      samples,
    }))
  }
}
