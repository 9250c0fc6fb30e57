import { errorText, isPintailError, PintailError } from '../errors.ts'
import type { CallContext, ProbeResult, Prober, ProbeTarget } from '../ports.ts'
import type { ProbeFailure } from '../vocabulary.ts'
import { orAborted } from './host.ts'

/**
 * Passes a server only where every member passes it: `allOf(icmp(), tcp())` finds the server that answers ping while
 * its VPN is dead. Put the lower layers first: a failure names the first layer that failed.
 *
 * All members probe at once. `sent` and `received` are those of the member with the greatest loss, `rttMs` those of the
 * slowest; where these are two members, `rttMs` is the slowest one's mean, once per reply. So loss and mean latency are
 * each the worst of all, and a threshold on either decides as it would for each member alone.
 *
 * Throws what a member throws, unless another one got no answer at all: then the check has failed whatever the rest says.
 * @throws PintailError `invalid_argument` when there is no member
 */
export function allOf(...probers: readonly Prober[]): Prober {
  return quorum('allOf(', probers.length, probers)
}

/**
 * Passes a server where at least one member passes it. `sent`, `received` and `rttMs` are those of the best member: the
 * one with the least loss and, among equals, the smallest mean. (Which of a lossy and a slow one is the better the
 * thresholds would have to say; least loss wins.)
 *
 * Throws what a member throws, unless another one lost nothing.
 * @throws PintailError `invalid_argument` when there is no member
 */
export function anyOf(...probers: readonly Prober[]): Prober {
  return quorum('anyOf(', 1, probers)
}

/**
 * Passes a server where at least `n` members (1 to as many as there are) pass it. The `n` best members, chosen as by
 * `anyOf`, are put together as by `allOf`.
 *
 * A member that throws could have passed or failed. If that could change the outcome, the check throws; it does not when
 * `n` others lost nothing, nor when too few others got an answer for `n` to pass.
 * @throws PintailError `invalid_argument` when `n` is no whole number from 1 to the number of members
 */
export function quorumOf(n: number, ...probers: readonly Prober[]): Prober {
  return quorum(`quorumOf(${n},`, n, probers)
}

interface Answered {
  readonly name: string
  readonly result: ProbeResult
  /** 0..1; 1 for a failure, whatever came back. */
  readonly loss: number
  readonly meanMs: number
}
type Vote = Answered | { readonly name: string; readonly error: unknown }

function quorum(opening: string, n: number, members: readonly Prober[]): Prober {
  // A name goes into every sample; a sample's may have 100 characters.
  const name = `${opening}${members.map((member) => member.name).join(',')})`.slice(0, 100)
  if (!Number.isInteger(n) || n < 1 || n > members.length) {
    const remedy = 'Give at least one prober, and a whole number from 1 to the number of probers.'
    throw new PintailError('invalid_argument', `${name} asks for ${n} of ${members.length} probers`, { remedy })
  }
  return {
    name,
    async probe(target, ctx) {
      const votes = await orAborted(Promise.all(members.map((member) => vote(member, target, ctx))), ctx.signal)
      return outcome(name, n, votes)
    },
  }
}

async function vote(member: Prober, target: ProbeTarget, ctx: CallContext): Promise<Vote> {
  const { name } = member
  try {
    const result = await member.probe(target, ctx)
    const { sent, received, rttMs, failure } = result
    const meanMs = rttMs.reduce((sum, ms) => sum + ms, 0) / Math.max(1, rttMs.length)
    const possible = sent > 0 && received >= 0 && received <= sent && rttMs.every((ms) => ms >= 0 && ms < Infinity)
    if (possible) return { name, result, loss: failure ? 1 : 1 - received / sent, meanMs }
    throw new PintailError('prober_unavailable', `an impossible result: ${received} of ${sent} packets came back`)
  } catch (error) {
    return { name, error }
  }
}

function outcome(name: string, n: number, votes: readonly Vote[]): ProbeResult {
  const answered = votes.filter((one) => 'result' in one)
  const [thrown, ...more] = votes.filter((one) => 'error' in one)
  const alive = answered.filter(({ loss }) => loss < 1).length
  const unharmed = answered.filter(({ loss }) => loss === 0).length
  // Neither may a member that could not try make a server fail, nor may it let one pass.
  if (thrown && unharmed < n && alive >= n - 1 - more.length) {
    const known = isPintailError(thrown.error) ? thrown.error : undefined
    const message = `${name}: ${thrown.name} could not try: ${errorText(thrown.error)}`
    const remedy = known?.remedy === undefined ? {} : { remedy: known.remedy }
    throw new PintailError(known?.code ?? 'prober_unavailable', message, { cause: thrown.error, ...remedy })
  }
  const chosen = answered.toSorted((a, b) => a.loss - b.loss || a.meanMs - b.meanMs).slice(0, n)
  const lossiest = chosen.reduce((worst, one) => (one.loss >= worst.loss ? one : worst))
  const slowest = chosen.reduce((worst, one) => (one.meanMs > worst.meanMs ? one : worst), lossiest)
  const { sent, received, rttMs } = lossiest.result
  if (lossiest.loss === 1) return { sent, received: 0, rttMs: [], failure: failureOf(votes) }
  const times = slowest === lossiest ? rttMs : Array<number>(received).fill(slowest.meanMs)
  return { sent, received, rttMs: times, failure: null }
}

/** Names the first layer that failed, and tells how each member did: `icmp ok, tcp refused`. */
function failureOf(votes: readonly Vote[]): ProbeFailure {
  const words: string[] = []
  let first: ProbeFailure | undefined
  for (const vote of votes) {
    if ('error' in vote) words.push(`${vote.name} could not try`)
    else if (vote.loss < 1) words.push(`${vote.name} ${vote.loss === 0 ? 'ok' : `lost ${Math.round(vote.loss * 100)} %`}`)
    else {
      const { kind, layer } = vote.result.failure ?? { kind: 'no_reply', layer: vote.name }
      words.push(`${vote.name} ${kind.replace('_', ' ')}`)
      first ??= { kind, layer }
    }
  }
  return { kind: 'no_reply', layer: 'none', ...first, detail: words.join(', ').slice(0, 300) }
}
