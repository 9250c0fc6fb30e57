import {
  createPintail,
  type JournalEntry,
  type Mode,
  memoryMover,
  memoryRegistry,
  type PintailEvent,
  type Policy,
  type PolicyInput,
} from '@pintail/core'
import type { Recorded, RecordedEvacuation, RecordedMove } from './recorded.ts'

/** What holds with this policy, defaults and preset filled in. @throws PintailError `invalid_options` */
export function resolved(policy: PolicyInput): Policy {
  const registry = memoryRegistry({ servers: [], connections: {} })
  return createPintail({ registry, mover: memoryMover(registry), policy }).policy.get().policy
}

const defaults = resolved({})
/** Seconds between the fastest recorded confirmation and the default one that tell no other policy, milliseconds. */
const sameMs = 3000
/** Nobody confirms a failure densely for longer than this, milliseconds. */
const densestMs = 60_000

const list = (items: readonly string[]): string => items.join(', ')

/** Loads are not recorded, so that the engine cannot choose targets as it did: it is led there by what users prefer. */
export function leading(policy: PolicyInput): PolicyInput {
  return { ...policy, placement: { ...policy.placement, weights: { ...policy.placement?.weights, preference: 100 } } }
}

/** What the journal shows of the policy: modes, how long a failure takes to be confirmed, whether and when users go home. */
export function derivePolicy(entries: readonly JournalEntry[], recorded: Recorded, assumptions: string[]): PolicyInput {
  const modes: Record<string, Mode> = {}
  for (const entry of entries) {
    const { type, data } = entry as PintailEvent
    if (type === 'decision.made') modes[data.reason] ??= data.mode
  }
  const mode: PolicyInput['mode'] = { default: 'auto', ...modes }
  const detect = deriveDetection(entries, recorded)
  const failback = deriveFailback(entries, recorded)
  const pace = derivePace(recorded)
  const guards = deriveGuards(entries)
  assumptions.push(
    `policy: the journal does not hold it. Modes as decided (${list(Object.entries(modes).map(([reason, word]) => `${reason} ${word}`)) || 'none: auto'}), ` +
      `${detect.why}, ${pace.why}, ${guards.why}, failback ${failback.strategy}; all else are defaults. --policy FILE gives the real one`,
  )
  return { mode, detect: detect.detect, guards: guards.guards, migration: pace.migration, failback }
}

/** How many servers were down or suspect, and how few there were, when something was decided for an incident all the same. */
function deriveGuards(entries: readonly JournalEntry[]): { readonly guards: NonNullable<PolicyInput['guards']>; readonly why: string } {
  const verdicts = new Map<string, string>()
  let [ratio, fewest] = [0, defaults.guards.minServers]
  for (const entry of entries) {
    const { type, data } = entry as PintailEvent
    if (type === 'leader.acquired') verdicts.clear()
    if (type === 'server.added') verdicts.set(data.serverId, verdicts.get(data.serverId) ?? 'unknown')
    if (type === 'server.removed') verdicts.delete(data.serverId)
    if (type === 'server.verdict_changed' && !data.audience) verdicts.set(data.serverId, data.verdict)
    if (type !== 'decision.made' || data.incidentId === null || data.mode !== 'auto') continue
    const unwell = [...verdicts.values()].filter((verdict) => verdict === 'down' || verdict === 'suspect').length
    // One may always fail.
    if (unwell > 1) ratio = Math.max(ratio, unwell / verdicts.size)
    fewest = Math.min(fewest, verdicts.size)
  }
  const massFailureRatio = Math.min(1, Math.ceil(ratio * 1000) / 1000)
  const guards = {
    ...(massFailureRatio > defaults.guards.massFailureRatio && { massFailureRatio }),
    ...(fewest > 0 && fewest < defaults.guards.minServers && { minServers: fewest }),
  }
  const why = Object.entries(guards).map(([name, value]) => `${name} ${value}, because it acted then`)
  return { guards, why: why.join(', ') || 'default guards' }
}

/** How many moves were open at once, where more were waiting, and whether a server was asked for again soon. */
function derivePace({ evacuations, moves }: Recorded): { readonly migration: NonNullable<PolicyInput['migration']>; readonly why: string } {
  const most = mostOpen(moves)
  const largest = Math.max(0, ...evacuations.map(({ end, connections }) => end?.moved ?? connections))
  // As many intents are kept ahead as there are calls under way.
  const limit = largest > most && most > 0 ? { concurrency: Math.max(1, Math.ceil(most / 2)) } : {}
  const optional = evacuations.filter(({ incident, reason, isHomeward }) => !incident && !isHomeward && reason !== 'manual')
  const isSoon = ({ from, createdAt }: RecordedEvacuation) =>
    moves.some(
      (move) =>
        move.end === 'moved' && from.includes(move.from) && move.at < createdAt && move.at > createdAt - defaults.migration.cooldownMs,
    )
  const cooldown = optional.some(isSoon) ? { cooldownMs: 0 } : {}
  const why = [
    ...('concurrency' in limit ? [`${limit.concurrency} moves at once, because never more than ${most} were open`] : ['default pace']),
    ...('cooldownMs' in cooldown ? ['no cooldown, because a server was asked for again soon'] : []),
  ]
  return { migration: { ...limit, ...cooldown }, why: why.join(', ') }
}

function mostOpen(moves: readonly RecordedMove[]): number {
  const changes = moves.flatMap(({ startedAt, at, end }) =>
    startedAt === null || end === null
      ? []
      : [
          { at: startedAt, by: 1 },
          { at, by: -1 },
        ],
  )
  let [open, most] = [0, 0]
  for (const { by } of changes.sort((a, b) => a.at - b.at || a.by - b.by)) {
    open += by
    most = Math.max(most, open)
  }
  return most
}

/** A failure was confirmed after the fastest that is recorded, and not before the longest suspicion that was cleared. */
function deriveDetection(
  entries: readonly JournalEntry[],
  { incidents }: Recorded,
): { readonly detect: NonNullable<PolicyInput['detect']>; readonly why: string } {
  const took = incidents.map(({ suspectedAt, openedAt }) => openedAt - suspectedAt).filter((ms) => ms > 0)
  const fastest = took.length > 0 ? Math.round(Math.min(...took)) : null
  const cleared = longestCleared(entries)
  const byDefault = defaults.detect.confirm?.durationMs ?? 0
  const least = fastest ?? (cleared > byDefault ? cleared + sameMs : null)
  if (least === null || Math.abs(least - byDefault) <= sameMs) return { detect: {}, why: 'default detection' }
  const how = fastest === null ? 'because a suspicion of nearly that length was cleared' : 'as fastest recorded'
  if (least <= densestMs)
    return { detect: { confirm: { durationMs: least } }, why: `a failure is confirmed after ${least / 1000} s, ${how}` }
  const checkIntervalMs = Math.round(least / 2)
  return { detect: { confirm: null, checkIntervalMs }, why: `no fast confirmation and a check every ${checkIntervalMs / 1000} s, ${how}` }
}

function longestCleared(entries: readonly JournalEntry[]): number {
  const since = new Map<string, number>()
  let longest = 0
  for (const entry of entries) {
    const { type, at, data } = entry as PintailEvent
    if (type === 'leader.acquired') since.clear()
    if (type !== 'server.verdict_changed' || data.audience) continue
    const began = since.get(data.serverId)
    if (data.verdict === 'up' && began !== undefined) longest = Math.max(longest, Math.round(at - began))
    if (data.verdict === 'suspect') since.set(data.serverId, at)
    else since.delete(data.serverId)
  }
  return longest
}

function deriveFailback(entries: readonly JournalEntry[], { incidents, evacuations }: Recorded): NonNullable<PolicyInput['failback']> {
  const batches = entries.flatMap((entry) => {
    const { type, at, data } = entry as PintailEvent
    return type === 'failback.changed' ? [{ at, ...data }] : []
  })
  const [begun] = batches
  if (!begun) return { strategy: 'never' }
  const going = batches.filter(({ connections }) => connections > 0)
  const recovery = incidents.find(({ id }) => id === begun.incidentId)?.endedAt
  const stableMs = recovery && going[0] ? { stableMs: Math.max(0, Math.round(going[0].at - recovery) - 1000) } : {}
  const own = going.filter(({ incidentId }) => incidentId === going[0]?.incidentId)
  if (own.length < 2) return { strategy: 'immediate', ...stableMs }
  const [one, two] = own as [(typeof own)[0], (typeof own)[0]]
  const away = evacuations.find(({ incident }) => incident?.id === one.incidentId)?.end?.moved ?? 0
  const ended = evacuations.find(({ id }) => id === one.evacuationId)?.end?.at ?? one.at
  const batchPercent = away > 0 ? Math.min(100, Math.max(1, Math.floor((100 * one.connections) / away))) : 10
  return { strategy: 'gradual', ...stableMs, batchPercent, batchIntervalMs: Math.max(0, Math.round(two.at - ended) - 1000) }
}
