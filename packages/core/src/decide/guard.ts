import { everybodyElse } from '../detect/votes.ts'
import type { DetectPolicy, GuardDenial, MigrationReason, Mode, ServerId } from '../vocabulary.ts'

/** What may as well wait: a host's guard that names no reason forbids these, and so does one that cannot be asked. */
export const optionalReasons: readonly MigrationReason[] = ['rebalancing', 'cost-optimization', 'maintenance', 'failback']

/** One state of the host's guards, as parsed. */
export interface HostGuard {
  readonly name: string
  /** Null: the optional reasons. */
  readonly forbids: readonly MigrationReason[] | null
  /** Null: all servers. */
  readonly servers: readonly ServerId[] | null
  readonly active: boolean
  readonly message: string
  readonly remedy: string | null
}

/**
 * The first of the host's guards that forbids moves off this server for this reason.
 * @param said what they said, or why that is not known: then what is optional waits
 */
export function hostDenial(said: readonly HostGuard[] | string, reason: MigrationReason, from: ServerId): GuardDenial | null {
  const silent = { name: 'guard source', forbids: null, servers: null, active: true, remedy: null }
  const states = typeof said === 'string' ? [{ ...silent, message: said }] : said
  const state = states.find(
    ({ active, forbids, servers }) => active && (forbids ?? optionalReasons).includes(reason) && (servers?.includes(from) ?? true),
  )
  if (!state) return null
  const { name, message, remedy } = state
  return { guard: 'host', message: `${name} forbids ${reason}: ${message}`, remedy: remedy ?? 'Wait until it allows it.', values: { name } }
}

/** What the guards count: servers that the registry means to be in service, without long-dead acknowledged ones. */
export interface Census {
  readonly servers: number
  readonly down: number
  readonly suspect: number
  /** Servers that answer now. */
  readonly up: number
}

/** How many servers may be down or suspect while Pintail acts: `max(1, floor(p·N))`. */
export function massFailureCap(servers: number, ratio: number): number {
  return Math.max(1, Math.floor(ratio * servers))
}

/**
 * A prober that has lost its network, or a failure too large to be solved by moving people onto the rest.
 * @param audience whose census it is. Default: everybody's
 */
export function massFailure(census: Census, ratio: number, audience: string | null = null): GuardDenial | null {
  const { servers, down, suspect, up } = census
  const values = { servers, down, suspect, up, ...(audience !== null && { audience }) }
  const whose = audience === null ? '' : ` for ${audience === everybodyElse ? 'other regions' : `region ${audience}`}`
  if (down > 0 && up === 0)
    return {
      guard: 'all_down',
      message: `none of ${servers} servers answers${whose}: there is nowhere to go, and the prober is the likelier failure`,
      remedy: "Check this prober's own network; moves go on by themselves when servers answer again.",
      values,
    }
  const cap = massFailureCap(servers, ratio)
  if (down + suspect <= cap) return null
  return {
    guard: 'mass_failure',
    message: `${down} down and ${suspect} suspect of ${servers} servers${whose}; at most ${cap} may be while Pintail acts`,
    remedy:
      "Check this prober's own network. If the failure is real, override the guard for the incident, or acknowledge long-dead servers.",
    values: { ...values, cap },
  }
}

/** One prober alone with one or two servers cannot tell their failure from its own. */
export function tooFewServers(servers: number, canaries: number, minServers: number, mode: Mode): GuardDenial | null {
  if (mode !== 'auto' || canaries > 0 || servers >= minServers) return null
  return {
    guard: 'too_few_servers',
    message: `auto needs a canary or at least ${minServers} servers, to tell a dead server from a dead prober; there are ${servers}`,
    remedy: 'Give policy.detect.canaries a host that is always reachable, or use mode suggest.',
    values: { servers, minServers },
  }
}

/** Between the packets of one check at most, milliseconds. */
const spacingMs = 200

/**
 * How old a control may be when the deciding check goes out, milliseconds: dense checks ask for one every second; without them
 * it is the other hosts' last steady check, and that one takes its time.
 */
export function controlFreshMs(detect: DetectPolicy): number {
  const checkMs = (detect.pingCount - 1) * spacingMs + detect.pingTimeoutMs
  return detect.confirm ? 2000 : detect.checkIntervalMs * (1 + 2 * detect.jitter) + checkMs
}

/**
 * Before a `down` is acted on, any other host must have answered: since the suspicion began, and freshly when the
 * deciding check was sent. So a network that was lost as a whole decides nothing: whatever failed while it was lost was
 * sent after the last answer of anybody.
 * @param failedSentAt when the newest failing check was sent
 * @param control the newest answer of another host that had come by then
 */
export function noControl(
  suspectedAt: number,
  failedSentAt: number,
  control: { readonly at: number } | null,
  freshMs: number,
): GuardDenial | null {
  if (control && control.at >= Math.max(suspectedAt, failedSentAt - freshMs)) return null
  return {
    guard: 'no_control',
    message: 'no other host has answered since the suspicion began: the prober may be the broken one',
    remedy: "Check this prober's own network; when another host answers, the suspicion is confirmed anew and then acted on.",
    values: { suspectedAt },
  }
}

/** No vantage has an opinion any more: what was confirmed before is not known to hold. */
export function noVantage(audience: string, since: number): GuardDenial {
  return {
    guard: 'no_control',
    message: `no healthy vantage has an opinion for ${audience === everybodyElse ? 'other regions' : `region ${audience}`} now`,
    remedy: 'See status().vantages for which are silent, and why; moves go on by themselves when they are back.',
    values: { since, audience },
  }
}
