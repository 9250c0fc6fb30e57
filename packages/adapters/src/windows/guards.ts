import { type Clock, errorText, type GuardSource, type GuardState, type MigrationReason, PintailError, type Problem } from '@pintail/core'
import { Cron } from 'croner'

export interface MaintenanceWindow {
  /**
   * When it opens, as a cron expression of at most 200 characters: minute, hour, day of month, month, day of week; six
   * fields begin with the second, seven end with the year. `@daily` and an ISO 8601 time for once are read too.
   */
  readonly cron: string
  /** How long it stays open, milliseconds that pass (not of the wall clock), 1 000–31 622 400 000 (366 days). */
  readonly durationMs: number
  /** The IANA time zone that the expression is meant in. Default `UTC`: a machine's own zone is seldom its users'. */
  readonly timezone?: string
}

export interface MaintenanceWindowsOptions {
  /** 1–100. While any of them is open nothing is forbidden. */
  readonly windows: readonly MaintenanceWindow[]
  /**
   * The reasons that are forbidden outside. Default: the optional ones (`rebalancing`, `cost-optimization`,
   * `maintenance`, `failback`). With `server-down` users stay on a dead server until a window opens.
   */
  readonly outside?: readonly MigrationReason[]
  /** Default: the time of day. */
  readonly clock?: Pick<Clock, 'now'>
}

const shortestMs = 1000
const longestMs = 366 * 86_400_000
const reasons: Readonly<Record<MigrationReason, true>> = {
  'server-down': true,
  degraded: true,
  'cost-optimization': true,
  manual: true,
  rebalancing: true,
  maintenance: true,
  failback: true,
  'user-request': true,
}

/**
 * Optional moves only while a window is open: from the moment that `cron` names, inclusive, until `durationMs` later,
 * exclusive. Windows may overlap, span midnight, or be longer than their period (then one is always open). An opening
 * that daylight saving time skips comes as soon as the skipped hour is over; one that it repeats comes once, the first time.
 * @throws PintailError `invalid_options` naming every bad expression, time zone and duration, also an expression that
 * never fires
 */
export function maintenanceWindows(options: MaintenanceWindowsOptions): GuardSource {
  const { outside, clock = { now: () => Date.now() } } = options
  const problems: Problem[] = []
  const problem = (path: string, value: unknown, message: string, remedy: string): void =>
    void problems.push({ path, message, value: JSON.stringify(value)?.slice(0, 80) ?? 'undefined', remedy })
  const given: unknown = options.windows
  const list: readonly unknown[] = Array.isArray(given) && given.length >= 1 && given.length <= 100 ? given : []
  if (list.length === 0) problem('windows', given, 'must be a list of 1 to 100 windows', 'Without windows leave this guard out.')
  const now = clock.now()
  const windows = list.flatMap((item, index) => {
    const { cron, durationMs, timezone = 'UTC' } = (item ?? {}) as Partial<Record<keyof MaintenanceWindow, unknown>>
    const path = `windows.${index}`
    const before = problems.length
    if (!isDuration(durationMs))
      problem(`${path}.durationMs`, durationMs, `must be a whole number from ${shortestMs} to ${longestMs}`, 'Give milliseconds.')
    if (!isTimezone(timezone))
      problem(`${path}.timezone`, timezone, 'is no time zone', 'Give an IANA name such as Europe/Berlin, or leave it out for UTC.')
    if (typeof cron !== 'string' || cron.length > 200) problem(`${path}.cron`, cron, 'is no cron expression', cronRemedy)
    if (problems.length > before) return []
    const window = { cron: cron as string, durationMs: durationMs as number, timezone: timezone as string }
    try {
      const opens = new Cron(window.cron, { timezone: window.timezone, paused: true })
      if (opens.nextRun(new Date(now - window.durationMs)) !== null) return [{ opens, durationMs: window.durationMs }]
      problem(`${path}.cron`, cron, 'never fires (again)', 'Give a day that exists and has not passed for ever.')
    } catch (error) {
      problem(`${path}.cron`, cron, `is no cron expression: ${errorText(error)}`, cronRemedy)
    }
    return []
  })
  if (outside !== undefined && !(Array.isArray(outside) && outside.every((reason) => Object.hasOwn(reasons, reason))))
    problem('outside', outside, 'must be a list of reasons', `Known: ${Object.keys(reasons).join(', ')}.`)
  if (problems.length > 0) throw refused(problems)

  return {
    async current(): Promise<readonly GuardState[]> {
      const at = clock.now()
      // The first opening after the last one that would be over by now: if it has come, its window is open.
      const isOpen = windows.some(({ opens, durationMs }) => (opens.nextRun(new Date(at - durationMs))?.getTime() ?? Infinity) <= at)
      const next = Math.min(...windows.map(({ opens }) => opens.nextRun(new Date(at))?.getTime() ?? Infinity))
      const when = next === Infinity ? 'none opens any more' : `the next opens at ${new Date(next).toISOString()}`
      return [
        {
          name: 'maintenance windows',
          active: !isOpen,
          message: isOpen ? 'a maintenance window is open' : `no maintenance window is open; ${when}`,
          remedy: 'Wait for the window, or change the windows.',
          ...(outside && { forbids: outside }),
        },
      ]
    },
  }
}

const cronRemedy = "Give minute, hour, day of month, month and day of week, e.g. '0 2 * * *' for two o'clock each night."

const isDuration = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= shortestMs && (value as number) <= longestMs

function isTimezone(value: unknown): value is string {
  try {
    return typeof value === 'string' && /^[A-Za-z]/.test(value) && new Intl.DateTimeFormat('en', { timeZone: value }) !== null
  } catch {
    return false
  }
}

function refused(problems: readonly Problem[]): PintailError {
  const lines = problems.map(({ path, message, value, remedy }) => `  ${path}: ${message} (was ${value}) ${remedy}`)
  const title = `${problems.length} problem${problems.length === 1 ? '' : 's'} in the maintenance windows:`
  return new PintailError('invalid_options', `${title}\n${lines.join('\n')}`, {
    problems,
    remedy: 'Mend each of the listed values; `problems` names them all.',
  })
}
