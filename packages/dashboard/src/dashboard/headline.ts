import type { Tone } from '../base/states.ts'
import type { Messages } from '../messages/index.ts'
import { isEnded, type Model } from '../session/model.ts'

/** An answer to one of an operator's three questions; `lines` has the worst first. */
export interface Answer {
  readonly tone: Tone
  readonly lines: readonly string[]
}

export interface Headline {
  readonly isWrong: Answer
  readonly isDone: Answer
  readonly mustAct: Answer
}

const hourMs = 3_600_000
/** No check for so long, where the policy's pace is not known or quicker. */
const leastBlindMs = 120_000

/** Is anything wrong, what is being done, do I have to act? */
export function headline(model: Model, t: Messages, nowMs: number): Headline {
  return { isWrong: isWrong(model, t.dashboard, nowMs), isDone: isDone(model, t.dashboard), mustAct: mustAct(model, t.dashboard, nowMs) }
}

const has = (tone: Tone, line: string): { tone: Tone; line: string } => ({ tone, line })

function answer(found: readonly { tone: Tone; line: string }[], calm: Answer): Answer {
  const [first] = found
  return first ? { tone: first.tone, lines: found.map(({ line }) => line) } : calm
}

function isWrong(model: Model, t: Messages['dashboard'], nowMs: number): Answer {
  const { fleet, servers } = model
  const down = servers.filter(({ verdict }) => verdict.verdict === 'down').length
  const suspect = servers.filter(({ verdict }) => verdict.verdict === 'suspect').length
  return answer(
    [
      ...(fleet?.store_trouble ? [has('bad', t.wrongStore)] : []),
      ...(isBlind(model, nowMs) ? [has('bad', t.wrongBlind)] : []),
      ...(down > 0 ? [has('bad', t.wrongDown(down))] : []),
      ...(suspect > 0 ? [has('waiting', t.wrongSuspect(suspect))] : []),
      ...(fleet?.registry.stale ? [has('waiting', t.wrongRegistry)] : []),
    ],
    { tone: 'good', lines: [t.wrongNothing] },
  )
}

/** The dead man's switch: nobody has checked any server for long, though there are some. */
function isBlind({ fleet, servers, policy }: Model, nowMs: number): boolean {
  if (!fleet || servers.length === 0) return false
  const detect = policy?.policy.detect as { check_interval_ms?: unknown } | undefined
  const pace = typeof detect?.check_interval_ms === 'number' ? detect.check_interval_ms : 0
  const last = fleet.last_check_at === null ? Number.NEGATIVE_INFINITY : Date.parse(fleet.last_check_at)
  // A leader that has just begun has checked nobody yet.
  const since = fleet.leader ? Date.parse(fleet.leader.since) : Number.NEGATIVE_INFINITY
  return nowMs - Math.max(last, since) > Math.max(leastBlindMs, 3 * pace)
}

function isDone({ migrations, pauses }: Model, t: Messages['dashboard']): Answer {
  const running = migrations.filter((one) => !isEnded(one) && one.status !== 'suggested')
  const users = running.reduce((sum, { connection_count_at_start: n, connections_moved: moved }) => sum + Math.max(0, n - moved), 0)
  return answer(
    [
      ...(pauses.some(({ scope }) => scope === 'all') ? [has('waiting', t.doingPaused)] : []),
      ...(running.length > 0 ? [has('busy', t.doing(running.length, users))] : []),
    ],
    { tone: 'idle', lines: [t.doingNothing] },
  )
}

function mustAct({ evacuations, incidents, migrations }: Model, t: Messages['dashboard'], nowMs: number): Answer {
  const waiting = evacuations.filter(({ status }) => status === 'suggested').length
  const held = incidents.filter(({ status, held_by }) => status === 'open' && held_by.length > 0).length
  const failed = migrations.filter(
    ({ status, completed_at }) => status === 'failed' && completed_at !== null && nowMs - Date.parse(completed_at) < hourMs,
  ).length
  return answer(
    [
      ...(waiting > 0 ? [has('waiting', t.actApprove(waiting))] : []),
      ...(held > 0 ? [has('waiting', t.actHeld(held))] : []),
      ...(failed > 0 ? [has('bad', t.actFailed(failed))] : []),
    ],
    { tone: 'good', lines: [t.actNothing] },
  )
}
