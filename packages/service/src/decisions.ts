import { type Candidate, type DecisionRecord, errorText, type Logger, type Mode, type Pintail } from '@pintail/core'
import { count } from './terminal.ts'

/** Servers that a line names before it counts the rest. */
const mostNamed = 5

/** Tells each decision in one line: who goes where, why there, and who stays. In `observe` it is all that is to be seen. */
export function tellDecisions(engine: Pintail, logger: Logger): Disposable {
  let last = ''
  return engine.on('decision.made', async ({ decisionId }) => {
    try {
      const decision = await engine.decision(decisionId)
      // What could not be placed is decided anew again and again; the same words are worth one line.
      const text = decisionText(decision)
      if (decision.connections === 0 || text === last) return
      last = text
      const { placed, unplaced, fromServerIds, mode } = decision
      logger.info({ decisionId, fromServerIds, mode, placed, unplaced }, text)
    } catch (error) {
      logger.debug({ decisionId }, `the decision ${decisionId} cannot be told: ${errorText(error)}`)
    }
  })
}

const verbs: Readonly<Record<Mode, string>> = {
  auto: 'are moved',
  suggest: 'would be moved, once somebody approves',
  observe: 'would be moved (mode observe: nobody is)',
}

/** @internal */
export function decisionText(decision: DecisionRecord): string {
  const { mode, placed, unplaced, connections, fromServerIds, cohorts } = decision
  const from = `server ${fromServerIds.join(', ')}`
  const parts = [`${placed} of ${count(connections, 'user')} of ${from} ${verbs[mode]}${targets(decision)}`]
  if (unplaced > 0) parts.push(`${unplaced} stay: ${reasons(decision)}`)
  const best = bestOf(decision)
  if (best) parts.push(best)
  const excluded = excludedOf(cohorts, fromServerIds)
  if (excluded) parts.push(`no target: ${excluded}`)
  return parts.join('; ')
}

function targets({ cohorts }: DecisionRecord): string {
  const users = new Map<string, number>()
  for (const { placed } of cohorts)
    for (const { serverId, connections } of placed) users.set(serverId, (users.get(serverId) ?? 0) + connections)
  const most = [...users].sort((a, b) => b[1] - a[1])
  return most.length === 0 ? '' : `: ${named(most.map(([id, some]) => `${some} to ${id}`))}`
}

const named = (texts: readonly string[]): string =>
  texts.length <= mostNamed ? texts.join(', ') : `${texts.slice(0, mostNamed).join(', ')} and ${texts.length - mostNamed} more`

function reasons({ cohorts }: DecisionRecord): string {
  const counts = new Map<string, number>()
  for (const { unplaced } of cohorts) for (const [code, some] of Object.entries(unplaced)) counts.set(code, (counts.get(code) ?? 0) + some)
  return [...counts].map(([code, some]) => `${some} ${code.replaceAll('_', ' ')}`).join(', ')
}

/** In what the best target of the largest group is good, in the engine's own notes. */
function bestOf({ cohorts }: DecisionRecord): string | null {
  const [largest] = cohorts.toSorted((a, b) => b.connections - a.connections)
  const taken = new Set<string>(largest?.placed.map(({ serverId }) => serverId))
  const best = largest?.candidates.find((one): one is Extract<Candidate, { score: number }> => 'score' in one && taken.has(one.serverId))
  if (!best) return null
  const notes = best.contributions
    .toSorted((a, b) => b.value * b.weight - a.value * a.weight)
    .slice(0, 3)
    .map(({ note }) => note)
  return `${best.serverId} has ${Math.round(100 * best.score)} of 100 points: ${notes.join(', ')}`
}

function excludedOf(cohorts: DecisionRecord['cohorts'], from: readonly string[]): string {
  const messages = new Map<string, string>()
  for (const { candidates } of cohorts)
    for (const one of candidates) if ('excluded' in one && !from.includes(one.serverId)) messages.set(one.serverId, one.message)
  return named([...messages].map(([id, message]) => `${id} (${message})`))
}
