import { type Paint, table } from '../terminal.ts'
import { paceOf, spread } from './policy.ts'
import type { Resolved, SettingProblem } from './resolve.ts'
import { type SettingName, settingNames, settings } from './settings.ts'

/** The value of a setting as text, credentials masked. */
export function showValue(name: SettingName, value: unknown): string {
  return (settings[name].kind.show as (value: unknown) => string)(value)
}

/** Every setting: its variable, its value and where that comes from. */
export function settingsTable({ values, sources, view, policy }: Resolved, paint: Paint): string {
  const rows = settingNames.map((name) => {
    const source = sources[name]
    return [settings[name].env, showValue(name, values[name]) || '(none)', source === 'default' ? paint.dim(source) : paint.cyan(source)]
  })
  const fromFile = Object.entries(view.sources)
    .filter(([path, source]) => source === 'code' && !bySetting(path))
    .map(([path]) => [`policy.${path}`, JSON.stringify(valueAt(view.policy, path)), paint.cyan('file')])
  const shown = table({ head: ['setting', 'value', 'source'], rows: [...rows, ...fromFile], paint })
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
export function settingsData({
  values,
  sources,
}: Pick<Resolved, 'values' | 'sources'>): Record<string, { value: unknown; source: string }> {
  return Object.fromEntries(
    settingNames.map((name) => {
      const value: unknown = values[name]
      const isShown = typeof value === 'string' || 'isSecret' in settings[name].kind
      const plain = isShown ? showValue(name, value) : value
      return [settings[name].env, { value: plain, source: sources[name] }]
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
