import type { PolicyInput, PolicyView } from '@pintail/core'
import { accessClashes } from './access.ts'
import { everyVariable, unknownVariables } from './every.ts'
import type { ConfigFile } from './file.ts'
import { fleetClashes } from './fleet.ts'
import { at, checkPolicy, type PolicyProblem, policyOf, policyPathOf, type Sources } from './policy.ts'
import { clash, type Given, type Raw, readAll, readFile, type SettingProblem, SettingsError, unknownInFile } from './read.ts'
import { type SettingName, type Settings, settingNames, settings } from './settings.ts'
import { withoutPort } from './withoutPort.ts'

export interface Resolved {
  readonly values: Settings
  readonly sources: Sources
  readonly policy: PolicyInput
  /** The engine's whole policy, as it will be. */
  readonly view: PolicyView
  /** What is suspicious and stops nothing. */
  readonly warnings: readonly string[]
}

/** Flags before environment before file before defaults. @throws SettingsError naming everything that is wrong */
export function resolveSettings({ flags, env }: Given): Resolved {
  const problems: SettingProblem[] = []
  const file = readFile(settings.config, { flags, env }, problems)
  const { policy, ...fileSettings } = file
  const filePolicy = policy ?? {}
  const preset = presetOf({ flags, env }, fileSettings)
  const { values, sources, raws } = readAll(settings, { flags, env }, fileSettings, problems, (name) => fallbackOf(name, preset))
  problems.push(
    ...unknownInFile(settings, fileSettings, ['policy']),
    ...saidTwice(fileSettings, filePolicy),
    ...withoutPort(values, raws.get('canaries')),
    ...withoutDatabase(values, raws.get('store') ?? null, raws.get('postgresUrl') ?? null),
    ...[...accessClashes(values), ...fleetClashes(values, (name) => sources[name] !== 'default')].map((one) => clash(settings, raws, one)),
  )
  const whole = isObject(filePolicy) ? policyOf(values, sources, filePolicy) : (filePolicy as PolicyInput)
  const checked = checkPolicy(whole)
  if ('problems' in checked) problems.push(...policyProblems(checked.problems, filePolicy))
  if (problems.length > 0 || !('view' in checked)) throw new SettingsError(problems)
  return { values, sources, policy: whole, view: checked.view, warnings: unknownVariables(env, everyVariable()) }
}

function presetOf(given: Given, file: ConfigFile): Settings['preset'] | undefined {
  const { preset } = readAll({ preset: settings.preset }, given, file, []).values
  return preset
}

/** The preset `default` has a pace of its own, in the place of the seed's. */
function fallbackOf(name: SettingName, preset: Settings['preset'] | undefined): unknown {
  const paces: Partial<Record<SettingName, number>> = { checkInterval: 5, pingCount: 1, startupDelay: 0 }
  return preset === 'default' && name in paces ? paces[name] : settings[name].fallback
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A file that says one thing in two places would have to be guessed at. */
function saidTwice(file: ConfigFile, policy: unknown): SettingProblem[] {
  return settingNames.flatMap((name): SettingProblem[] => {
    const path = policyPathOf(name)
    if (path === null || file[name] === undefined || at(policy, path) === undefined) return []
    return [{ name, source: 'file', is: `is said twice, also as policy.${path}`, right: 'leave one of the two out' }]
  })
}

/** A state that should be shared is not begun in a place that nobody has named. */
function withoutDatabase({ store, postgresUrl }: Settings, given: Raw | null, url: Raw | null): SettingProblem[] {
  if (!given || store !== 'postgres' || postgresUrl !== '' || url) return []
  const right = 'give the address of the database in PINTAIL_POSTGRES_URL'
  return [{ name: given.name, source: given.source, value: 'postgres', is: 'needs a database', right }]
}

function policyProblems(problems: readonly PolicyProblem[], filePolicy: unknown): SettingProblem[] {
  return problems.map(({ path, message, value, remedy }) => ({
    name: path || 'policy',
    source: 'file',
    ...(value !== undefined && isObject(filePolicy) && { value }),
    is: message,
    right: remedy ?? 'see the policy in the documentation of @pintail/core',
  }))
}
