import type { Rate, RatesPolicy, ServerId } from '../vocabulary.ts'

/** Tokens that were there at a time, milliseconds. */
export interface Bucket {
  readonly tokens: number
  readonly at: number
}

/**
 * A token bucket (J. S. Turner, "New directions in communications", 1986; as in RFC 2697): it fills with `perSecond` up
 * to `burst`, and each move takes one. In every window of w seconds at most `burst + perSecond·w` are taken.
 */
export function tokensAt({ tokens, at }: Bucket, { perSecond, burst }: Rate, now: number): number {
  return Math.min(burst, tokens + (Math.max(0, now - at) * perSecond) / 1000)
}

/** The bucket with one token fewer; null: there is none. */
export function take(bucket: Bucket, rate: Rate, now: number): Bucket | null {
  const tokens = tokensAt(bucket, rate, now)
  return tokens >= 1 ? { tokens: tokens - 1, at: Math.max(now, bucket.at) } : null
}

/** When the n-th token from now can be taken at the earliest, if each before it is taken as soon as it is there. */
export function tokenAt(bucket: Bucket, rate: Rate, nth: number, now: number): number {
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
type Ends = { readonly from: ServerId; readonly to: ServerId }

/**
 * The rate budgets of one term. They begin empty: a bucket that fills from the beginning of the term never holds more
 * than the one that was lost with the last term, so that no crash loop admits more than the rates do.
 */
export class Pacer {
  readonly #overall = new Buckets()
  readonly #targets = new Buckets()
  readonly #sources = new Buckets()

  #all({ from, to }: Ends): readonly (readonly [Buckets, string])[] {
    return [
      [this.#overall, ''],
      [this.#targets, to],
      [this.#sources, from],
    ]
  }

  /** To be called before anything is asked: a limit that is new begins with nothing saved. */
  adopt({ overall, perTarget, perSource }: RatesPolicy, now: number): void {
    this.#overall.adopt(overall, now)
    this.#targets.adopt(perTarget, now)
    this.#sources.adopt(perSource, now)
  }

  /** Intents of moves that are kept (1), and that have started or will not start (-1). */
  promise(ends: Ends, by: 1 | -1): void {
    for (const [{ promised }, key] of this.#all(ends)) {
      const count = (promised.get(key) ?? 0) + by
      if (count > 0) promised.set(key, count)
      else promised.delete(key)
    }
  }

  /** From when on the next intent may be kept. */
  intentAt(ends: Ends, now: number): number {
    const next = this.#all(ends).map(([buckets, key]) => buckets.tokenAt(key, (buckets.promised.get(key) ?? 0) + 1, now))
    return Math.max(now, Math.max(...next) - aheadMs)
  }

  /** Now: a token was taken from each. Later: none was, and then there may be one in each. */
  take(ends: Ends, now: number): number {
    const all = this.#all(ends)
    const at = Math.max(...all.map(([buckets, key]) => buckets.tokenAt(key, 1, now)))
    if (at <= now) for (const [buckets, key] of all) buckets.take(key, now)
    return at
  }

  /** When the last of so many moves can start: of all, onto this target, off this source. */
  lastAt({ from, to }: Ends, count: { readonly overall: number; readonly target: number; readonly source: number }, now: number): number {
    return Math.max(
      this.#overall.tokenAt('', count.overall, now),
      this.#targets.tokenAt(to, count.target, now),
      this.#sources.tokenAt(from, count.source, now),
    )
  }
}

/** What was seen of a transfer since it last went on after a hold, milliseconds. */
export interface Seen {
  readonly sinceAt: number
  /** Moves that have settled since then. */
  readonly settled: number
  readonly inFlight: number
  readonly left: number
  /** When the configured rates let the last move start. */
  readonly ratedAt: number
}

/**
 * When a transfer is likely to end: by the pace seen, and not before the rates allow it. Null while too little was seen:
 * fewer than three moves, or not even as many as are under way, since the first wave says nothing of its own duration.
 */
export function expectedEndAt({ sinceAt, settled, inFlight, left, ratedAt }: Seen, now: number): number | null {
  if (settled < Math.max(3, inFlight) || now <= sinceAt) return null
  return Math.ceil(Math.max(ratedAt, now + (left * (now - sinceAt)) / settled))
}
