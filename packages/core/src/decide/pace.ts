import type { Evacuation, Migration, Rate, RatesPolicy, ServerId } from '../vocabulary.ts'
import { isTerminal } from './migration.ts'

/** Tokens that were there at a time, milliseconds. */
interface Bucket {
  readonly tokens: number
  readonly at: number
}

/**
 * A token bucket (J. S. Turner, "New directions in communications", 1986; as in RFC 2697): it fills with `perSecond` up
 * to `burst`, and each move takes one. In every window of w seconds at most `burst + perSecond·w` are taken.
 */
function tokensAt({ tokens, at }: Bucket, { perSecond, burst }: Rate, now: number): number {
  return Math.min(burst, tokens + (Math.max(0, now - at) * perSecond) / 1000)
}

/** The bucket with one token fewer; null: there is none. */
function take(bucket: Bucket, rate: Rate, now: number): Bucket | null {
  const tokens = tokensAt(bucket, rate, now)
  return tokens >= 1 ? { tokens: tokens - 1, at: Math.max(now, bucket.at) } : null
}

/** When the n-th token from now can be taken at the earliest, if each before it is taken as soon as it is there. */
function tokenAt(bucket: Bucket, rate: Rate, nth: number, now: number): number {
  const missing = nth - tokensAt(bucket, rate, now)
  return missing <= 0 ? now : now + Math.ceil((missing * 1000) / rate.perSecond)
}

const sameRate = (a: Rate | null, b: Rate | null): boolean => a?.perSecond === b?.perSecond && a?.burst === b?.burst

/** More are looked through for those that are no longer needed. */
const mostBuckets = 10_000

/** The buckets of one kind, e.g. of all targets, and how many intents are kept that have not taken their token yet. */
class Buckets {
  rate: Rate | null = null
  /** Of everybody who has none of his own. */
  #fresh: Bucket = { tokens: 0, at: 0 }
  readonly #own = new Map<string, Bucket>()
  readonly promised = new Map<string, number>()

  /** What was saved under the old rate is kept, up to the new burst; where there was no limit nothing was saved. */
  adopt(rate: Rate | null, now: number): void {
    const before = this.rate
    if (sameRate(before, rate)) return
    this.rate = rate
    if (!rate) this.promised.clear()
    if (!before || !rate) {
      this.#own.clear()
      this.#fresh = { tokens: 0, at: now }
      return
    }
    const carried = (bucket: Bucket): Bucket => ({ tokens: Math.min(rate.burst, tokensAt(bucket, before, now)), at: now })
    this.#fresh = carried(this.#fresh)
    for (const [key, bucket] of this.#own) this.#own.set(key, carried(bucket))
  }

  tokenAt(key: string, nth: number, now: number): number {
    return this.rate ? tokenAt(this.#own.get(key) ?? this.#fresh, this.rate, nth, now) : now
  }

  take(key: string, now: number): void {
    if (!this.rate) return
    const left = take(this.#own.get(key) ?? this.#fresh, this.rate, now)
    if (left) this.#own.set(key, left)
    if (this.#own.size <= mostBuckets) return
    // Servers come and go: one that has as much as everybody needs no bucket of his own.
    const usual = tokensAt(this.#fresh, this.rate, now)
    for (const [other, bucket] of this.#own) if (tokensAt(bucket, this.rate, now) >= usual) this.#own.delete(other)
  }
}

/** How long before its token an intent is kept, milliseconds: longer than a write takes, and few moves even at a high rate. */
const aheadMs = 1000

/** What limits a move off one server onto another: all moves, arrivals on the target, departures from the source. */
interface Ends {
  readonly from: { readonly id: ServerId }
  readonly to: { readonly id: ServerId }
}

/**
 * The rate budgets of one term. They begin empty: a bucket that fills from the beginning of the term never holds more
 * than the one that was lost with the last term, so that no crash loop admits more than the rates do.
 */
export class Pacer {
  /** No limit at all: then nothing is counted either, and what was counted is forgotten. */
  #isFree = true
  readonly #overall = new Buckets()
  readonly #targets = new Buckets()
  readonly #sources = new Buckets()

  #all({ from, to }: Ends): readonly (readonly [Buckets, string])[] {
    return [
      [this.#overall, ''],
      [this.#targets, to.id],
      [this.#sources, from.id],
    ]
  }

  /** To be called before anything is asked: a limit that is new begins with nothing saved. */
  adopt({ overall, perTarget, perSource }: RatesPolicy, now: number): void {
    this.#overall.adopt(overall, now)
    this.#targets.adopt(perTarget, now)
    this.#sources.adopt(perSource, now)
    this.#isFree = !overall && !perTarget && !perSource
  }

  /** Intents of moves that are kept (1), and that have started or will not start (-1). */
  promise(ends: Ends, by: 1 | -1): void {
    if (this.#isFree) return
    for (const [{ rate, promised }, key] of this.#all(ends)) {
      if (!rate) continue
      const count = (promised.get(key) ?? 0) + by
      if (count > 0) promised.set(key, count)
      else promised.delete(key)
    }
  }

  /** From when on the next intent may be kept. */
  intentAt(ends: Ends, now: number): number {
    if (this.#isFree) return now
    const next = this.#all(ends).map(([buckets, key]) => buckets.tokenAt(key, (buckets.promised.get(key) ?? 0) + 1, now))
    return Math.max(now, Math.max(...next) - aheadMs)
  }

  /** Now: a token was taken from each. Later: none was, and then there may be one in each. */
  take(ends: Ends, now: number): number {
    if (this.#isFree) return now
    const all = this.#all(ends)
    const at = Math.max(...all.map(([buckets, key]) => buckets.tokenAt(key, 1, now)))
    if (at <= now) for (const [buckets, key] of all) buckets.take(key, now)
    return at
  }

  /** When the last of so many moves can start: of all, onto this target, off this source. */
  lastAt({ from, to }: Ends, count: { readonly overall: number; readonly target: number; readonly source: number }, now: number): number {
    return Math.max(
      this.#overall.tokenAt('', count.overall, now),
      this.#targets.tokenAt(to.id, count.target, now),
      this.#sources.tokenAt(from.id, count.source, now),
    )
  }
}

/** A migration under way, as far as its progress goes. */
export interface Transfer extends Ends {
  readonly migration: { readonly connectionCountAtStart: number }
  readonly queue: { readonly length: number }
  /** How many of the queue have an intent. */
  readonly next: number
  /** Moves with an intent, and those of them that are not called yet. */
  readonly inFlight: number
  readonly ahead: number
  readonly moved: number
  readonly failed: number
  readonly skipped: number
  /** Where the pace that is seen begins; null while a guard holds. */
  readonly pace: { readonly sinceAt: number; readonly settled: number } | null
}

const settledOf = ({ moved, failed, skipped }: Transfer): number => moved + failed + skipped

/** The figures of a record while it runs. */
export function figures(transfer: Transfer) {
  const { moved, failed, skipped, migration } = transfer
  const progress = percent(settledOf(transfer), migration.connectionCountAtStart)
  return { connectionsMoved: moved, connectionsFailed: failed, connectionsSkipped: skipped, progress }
}

/** Whose turn it is after one has had his: first the other sources, then the others of the same source. */
export function nextTurns<T extends Ends>(turns: readonly T[], served: T): T[] {
  const rest = turns.filter((other) => other !== served)
  const others = rest.filter(({ from }) => from.id !== served.from.id)
  return others.length === 0 ? [...rest, served] : [...others, ...rest.filter(({ from }) => from.id === served.from.id), served]
}

/**
 * When a transfer is likely to end: by the pace seen, and not before the rates allow it, which all that share a bucket
 * share move by move. Null while too little was seen: fewer than three moves, or not even as many as are under way, since
 * the first wave says nothing before it is over.
 */
export function expectedEndAt(one: Transfer, all: readonly Transfer[], pacer: Pacer, now: number): number | null {
  const { pace, inFlight, ahead } = one
  if (!pace) return null
  const settled = settledOf(one) - pace.settled
  if (settled < Math.max(3, inFlight - ahead) || now <= pace.sinceAt) return null
  const unstarted = (other: Transfer): number => other.queue.length - other.next + other.ahead
  const sharing = (shares: (other: Transfer) => boolean): number =>
    all.filter(shares).reduce((sum, other) => sum + Math.min(unstarted(other), unstarted(one)), 0)
  const count = {
    overall: sharing(() => true),
    target: sharing(({ to }) => to.id === one.to.id),
    source: sharing(({ from }) => from.id === one.from.id),
  }
  const left = one.migration.connectionCountAtStart - settledOf(one)
  return Math.ceil(Math.max(pacer.lastAt(one, count, now), now + (left * (now - pace.sinceAt)) / settled))
}

/** 0..100, whole; nothing to do is all done. */
export function percent(done: number, total: number): number {
  return total === 0 ? 100 : Math.min(100, Math.floor((done * 100) / total))
}

/** The record of an evacuation with the figures of this moment, from those of its migrations. */
export function liveEvacuation(evacuation: Evacuation, migrations: readonly Migration[]): Evacuation {
  const moved = migrations.reduce((sum, { connectionsMoved }) => sum + connectionsMoved, 0)
  const ends = migrations.flatMap(({ status, expectedEndAt }) => (isTerminal(status) ? [] : [expectedEndAt]))
  // Who has no room has no end to expect.
  const known = ends.length > 0 && !evacuation.unplaced.some(({ code }) => code === 'no_capacity' || code === 'no_candidate')
  const end = known ? ends.reduce((last, one) => (last === null || one === null ? null : Math.max(last, one)), 0) : null
  return { ...evacuation, moved, progress: percent(moved, evacuation.connections), expectedEndAt: end }
}
