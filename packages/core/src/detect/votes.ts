import type { Reason, Verdict, VerdictKind, Vote } from '../vocabulary.ts'

/** The users of every region that has no vantage of its own. */
export const everybodyElse = '*'

/** A vote, and for whom it counts. */
export interface Ballot extends Vote {
  /** Null: for every audience that has no vantage of its own. */
  readonly region: string | null
  readonly isOwn: boolean
  /** Those of one place lose their network together, so that they are one voice. Default: the vantage's own name. */
  readonly place?: string
}

/** Who says less against a server speaks for a place in which several look: the others may be cut off. */
const mildest = ['up', 'suspect', 'down', 'unknown'] as const

/** One voice for each place; our own vantage's, as long as it has a word, for ours. */
export function voicesOf(ballots: readonly Ballot[]): Ballot[] {
  const voices = new Map<string, Ballot>()
  const rank = ({ isOwn, verdict }: Ballot): number => (isOwn && verdict !== 'unknown' ? -1 : mildest.indexOf(verdict))
  for (const ballot of ballots) {
    const place = ballot.place ?? ballot.vantage
    const known = voices.get(place)
    if (!known || rank(ballot) < rank(known)) voices.set(place, ballot)
  }
  return [...voices.values()]
}

/** What all votes mean together. */
export interface Tally {
  /** Null: nobody but the engine's own vantage has an opinion, so that its own verdict is the verdict. */
  readonly global: Verdict | null
  /** Of audiences with a vantage, `unknown` while none of these has an opinion. All others inherit the global one. */
  readonly audiences: ReadonlyMap<string, Verdict>
}

export interface Election {
  readonly ballots: readonly Ballot[]
  /** What the engine's own vantage says by its own rules, and the region that it votes for. */
  readonly own: { readonly verdict: Verdict; readonly region: string | null }
  /** Regions that have a vantage of their own, healthy or not. */
  readonly regions: ReadonlySet<string>
  readonly minVotes: number
  /** Whether fresh passive evidence speaks against the server, for this audience. */
  readonly hasPassive: (audience: string) => boolean
  readonly now: number
}

/** The audience that a user of this region belongs to; null: it is not known. */
export function audienceOf(region: string | null, regions: ReadonlySet<string>): string | null {
  if (region === null) return null
  return regions.has(region) ? region : everybodyElse
}

/** The votes of one audience. */
interface Pool {
  readonly audience: string
  readonly votes: readonly Ballot[]
  readonly down: number
  readonly lean: VerdictKind
}

/**
 * Each audience by its own voters: `down` by more than half of those who have an opinion, if these are `minVotes` or there
 * is passive evidence beside them; `up` by more than half; `suspect` in every other case, a tie among them.
 *
 * For everybody it is `up` while it is for one audience, and `down` only when more than half say so in every audience
 * that has an opinion, `minVotes` of them in all: nobody's users are moved for what others alone have seen. Then it is
 * down for each of these audiences, whatever its own number of votes. The audience of the engine's own vantage must be
 * among them: while that has lost its network and nobody stands beside it, others speak for their own regions only.
 */
export function count({ ballots, own, regions, minVotes, hasPassive, now }: Election, before: Tally | null): Tally {
  const cast = ballots.filter(({ verdict }) => verdict !== 'unknown')
  const isAlone = cast.every(({ isOwn }) => isOwn)
  const audiences = [...new Set(cast.map(({ region }) => region ?? everybodyElse))].sort()
  const pools = audiences.map((audience) => poolOf(audience, cast))
  const enough = (down: number, some: readonly Pool[]): boolean => down >= minVotes || some.some(({ audience }) => hasPassive(audience))
  const downs = pools.reduce((sum, { down }) => sum + down, 0)
  const allLean = (lean: VerdictKind): boolean => pools.every((pool) => pool.lean === lean)
  const ownAudience = own.region ?? everybodyElse
  const isHeard = audiences.includes(ownAudience)
  const isDown = !isAlone && isHeard && allLean('down') && enough(downs, pools)
  const kind = isDown ? 'down' : pools.some(({ lean }) => lean === 'up') ? 'up' : 'suspect'
  const globally = summary(kind, null, ballots, pools, minVotes, downs)
  const global = isAlone ? null : verdict(kind, globally, ballots, before?.global, now)
  const verdicts = new Map<string, Verdict>()
  // Where no region has a vantage there is one audience only: everybody.
  for (const audience of regions.size === 0 ? [] : new Set(ballots.map(({ region }) => region ?? everybodyElse))) {
    const pool = pools.find((one) => one.audience === audience) ?? { audience, votes: [], down: 0, lean: 'unknown' as const }
    const voters = ballots.filter(({ region }) => (region ?? everybodyElse) === audience)
    // Alone it goes by its own rules.
    if (isAlone && audience === ownAudience) {
      verdicts.set(audience, own.verdict)
      continue
    }
    const isDownHere = pool.votes.length > 0 && (isDown || (pool.lean === 'down' && enough(pool.down, [pool])))
    const here = isDownHere ? 'down' : pool.lean === 'down' ? 'suspect' : pool.lean
    const said = isDown && isDownHere ? globally : summary(here, pool, voters, pools, minVotes, pool.down)
    verdicts.set(audience, verdict(here, said, voters, before?.audiences.get(audience), now))
  }
  return { global, audiences: verdicts }
}

function poolOf(audience: string, cast: readonly Ballot[]): Pool {
  const votes = cast.filter(({ region }) => (region ?? everybodyElse) === audience)
  const [up, down] = (['up', 'down'] as const).map((kind) => votes.filter((vote) => vote.verdict === kind).length) as [number, number]
  return { audience, votes, down, lean: 2 * down > votes.length ? 'down' : 2 * up > votes.length ? 'up' : 'suspect' }
}

function verdict(kind: VerdictKind, reason: Reason, votes: readonly Ballot[], before: Verdict | null | undefined, now: number): Verdict {
  const said = votes.map(({ vantage, verdict, since, reason }): Vote => ({ vantage, verdict, since, reason }))
  return { verdict: kind, since: before?.verdict === kind ? before.since : now, reasons: [reason], votes: said }
}

const nameOf = (audience: string): string => (audience === everybodyElse ? 'all other regions' : `region ${audience}`)

/** As `down for region ir: 2 of 2 vantages (teh-1: no answer to 3 packets; …); up for all other regions`. */
function summary(
  kind: VerdictKind,
  pool: Pool | null,
  voters: readonly Ballot[],
  pools: readonly Pool[],
  minVotes: number,
  downs: number,
): Reason {
  const cast = voters.filter(({ verdict }) => verdict !== 'unknown')
  const agree = cast.filter(({ verdict }) => verdict === kind)
  const lacks = kind === 'suspect' && 2 * downs > cast.length && downs < minVotes
  const named = (agree.length > 0 && !lacks ? agree : cast).slice(0, 5)
  const told = named.map(({ vantage, verdict, reason }) => `${vantage}: ${agree.length > 0 && !lacks ? '' : `${verdict}, `}${reason}`)
  if (cast.length === 0) {
    const why = voters.slice(0, 5).map(({ vantage, reason }) => `${vantage} ${reason}`)
    const message = `unknown${pool ? ` for ${nameOf(pool.audience)}` : ''}: no vantage has an opinion (${why.join('; ')})`
    return { code: 'no_quorum', message, values: { votes: 0, abstain: voters.length } }
  }
  const figures = lacks
    ? `${downs} of ${cast.length} say down, ${minVotes} votes are needed, or one and passive evidence`
    : `${agree.length} of ${plural(cast.length)}`
  const others = pools.filter((other) => other !== pool && pool !== null && other.lean !== kind)
  const rest = others.map(({ audience, lean }) => `; ${lean} for ${nameOf(audience)}`).join('')
  const differ = pool === null && kind === 'up' ? pools.filter(({ lean }) => lean !== 'up') : []
  const except = differ.map(({ audience, lean }) => `; ${lean} for ${nameOf(audience)}`).join('')
  return {
    code: kind === 'suspect' ? 'no_quorum' : 'quorum',
    message: `${kind}${pool ? ` for ${nameOf(pool.audience)}` : ''}: ${figures} (${told.join('; ')})${rest}${except}`,
    values: {
      votes: cast.length,
      agree: agree.length,
      abstain: voters.length - cast.length,
      ...(pool && { audience: pool.audience }),
    },
  }
}

const plural = (count: number): string => `${count} vantage${count === 1 ? '' : 's'}`
