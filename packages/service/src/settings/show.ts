import { type Paint, table } from '../terminal.ts'
import { paceOf, spread } from './policy.ts'
import type { SettingProblem, Source } from './read.ts'
import type { Resolved } from './resolve.ts'
import type { Definitions } from './setting.ts'
import { type SettingName, settings } from './settings.ts'

/** The value of a setting as text, credentials masked. */
export function showValue(name: SettingName, value: unknown): string {
  return (settings[name].kind.show as (value: unknown) => string)(value)
}

/** What one command was told, by the names of its settings. */
export interface Told {
  readonly values: Readonly<Record<string, unknown>>
  readonly sources: Readonly<Record<string, Source>>
}

function rowsOf(definitions: Definitions, { values, sources }: Told, paint: Paint): string[][] {
  return Object.entries(definitions).map(([name, { env, kind }]) => {
    const source = sources[name] ?? 'default'
    return [env, kind.show(values[name]) || '(none)', source === 'default' ? paint.dim(source) : paint.cyan(source)]
  })
}

const head = ['setting', 'value', 'source']

/** Every setting of a command that has no policy. */
export const plainTable = (definitions: Definitions, told: Told, paint: Paint): string =>
  table({ head, rows: rowsOf(definitions, told, paint), paint })

/** Every setting: its variable, its value and where that comes from. */
export function settingsTable({ values, sources, view, policy }: Resolved, paint: Paint): string {
  const rows = rowsOf(settings, { values, sources }, paint)
  const fromFile = Object.entries(view.sources)
    .filter(([path, source]) => source === 'code' && !bySetting(path))
    .map(([path]) => [`policy.${path}`, JSON.stringify(valueAt(view.policy, path)), paint.cyan('file')])
  const shown = table({ head, rows: [...rows, ...fromFile], paint })
  return `${shown}\n${paint.bold('Checks')}  ${paceOf(view.policy)}.\n${spreadNote(values, policy.detect?.checkIntervalMs)}`
}

function spreadNote(values: Resolved['values'], checkIntervalMs: number | undefined): string {
  if (values.preset !== 'seed-budget' || checkIntervalMs !== spread(values) || values.pingCount === 1) return ''
  return (
    `        The preset seed-budget sends the ${values.pingCount} packets of each ${values.checkInterval} s one at a time;\n` +
    '        PINTAIL_PRESET=seed sends them together, as the original does.\n'
  )
}

const settled = [
  'mode',
  'startupDelayMs',
  'detect.preset',
  'detect.checkIntervalMs',
  'detect.pingCount',
  'detect.pingTimeoutMs',
  'detect.migrationThreshold',
  'detect.packetLossThresholdPercent',
  'detect.latencyThresholdMs',
  'detect.canaries',
  'placement.defaultCapacity',
  'placement.maxArrivals',
  'advice.enabled',
  'advice.intervalMs',
]
const bySetting = (path: string): boolean => settled.some((own) => path === own || path.startsWith(`${own}.`))

function valueAt(tree: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, key) => (inner as Record<string, unknown> | null)?.[key], tree)
}

/** Settings as data: for `--json` and for the log's first line. Credentials are masked. */
export function settingsData(
  { values, sources }: Told,
  definitions: Definitions = settings,
): Record<string, { value: unknown; source: string }> {
  return Object.fromEntries(
    Object.entries(definitions).map(([name, { env, kind }]) => {
      const value: unknown = values[name]
      const isShown = typeof value === 'string' || kind.isSecret
      return [env, { value: isShown ? kind.show(value) : value, source: sources[name] ?? 'default' }]
    }),
  )
}

/** What is wrong and what would be right, one setting a line. */
export function problemsText(problems: readonly SettingProblem[], paint: Paint): string {
  const width = Math.min(36, Math.max(...problems.map(({ name }) => name.length)))
  const lines = problems.map(({ name, source, value, is, right }) => {
    const was = value === undefined ? '' : ` ${JSON.stringify(value)}`
    return `  ${paint.bold(name.padEnd(width))}  ${is}${was && `: ${was.trim()}`} (${source})\n  ${' '.repeat(width)}  ${paint.dim('→')} ${right}`
  })
  const what = problems.length === 1 ? 'One setting is wrong' : `${problems.length} settings are wrong`
  return `${paint.red('pintail:')} ${what}; nothing was started.\n\n${lines.join('\n')}\n`
}
