import { errorText, type PolicyInput, type PolicyView } from '@pintail/core'
import { accessClashes } from './access.ts'
import { type ConfigFile, readConfigFile } from './file.ts'
import { nearest } from './nearest.ts'
import { at, checkPolicy, type PolicyProblem, policyOf, policyPathOf, type Source, type Sources } from './policy.ts'
import { flagOf, type SettingName, type Settings, settingNames, settings } from './settings.ts'

/** One thing wrong: where it was said, what it is, and what would be right. */
export interface SettingProblem {
  /** The variable, the flag, or the dotted name in the file. */
  readonly name: string
  readonly source: Exclude<Source, 'default'>
  /** What was given, on one line and without credentials; absent where there is nothing to show. */
  readonly value?: string
  readonly is: string
  readonly right: string
}

/** Everything that is wrong with the settings, in one answer. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly problems: readonly SettingProblem[]

  constructor(problems: readonly SettingProblem[]) {
    super(`${problems.length} setting${problems.length === 1 ? ' is' : 's are'} wrong`)
    this.problems = problems
  }
}

export interface Given {
  /** By the name of the setting; undefined where the flag was not given. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface Resolved {
  readonly values: Settings
  readonly sources: Sources
  readonly policy: PolicyInput
  /** The engine's whole policy, as it will be. */
  readonly view: PolicyView
  /** What is suspicious and stops nothing. */
  readonly warnings: readonly string[]
}

type Raw = { readonly source: Exclude<Source, 'default'>; readonly name: string; readonly raw: unknown }

/** Flags before environment before file before defaults. @throws SettingsError naming everything that is wrong */
export function resolveSettings({ flags, env }: Given): Resolved {
  const problems: SettingProblem[] = []
  const file = readFile({ flags, env }, problems)
  const { policy, ...fileSettings } = file
  const filePolicy = policy ?? {}
  const raws = new Map(settingNames.map((name) => [name, rawOf(name, { flags, env }, fileSettings)]))
  const preset = readValue('preset', raws.get('preset') ?? null, []) as Settings['preset']
  const values = Object.fromEntries(
    settingNames.map((name) => [name, readValue(name, raws.get(name) ?? null, problems) ?? fallbackOf(name, preset)]),
  ) as unknown as Settings
  const sources = Object.fromEntries(settingNames.map((name) => [name, raws.get(name)?.source ?? 'default'])) as Sources
  problems.push(
    ...unknownInFile(fileSettings),
    ...saidTwice(fileSettings, filePolicy),
    ...withoutPort(values, raws.get('canaries') ?? null),
    ...withoutDatabase(values, raws.get('store') ?? null, raws.get('postgresUrl') ?? null),
    ...clashes(values, (name) => raws.get(name) ?? null),
  )
  const whole = isObject(filePolicy) ? policyOf(values, sources, filePolicy) : (filePolicy as PolicyInput)
  const checked = checkPolicy(whole)
  if ('problems' in checked) problems.push(...policyProblems(checked.problems, filePolicy))
  if (problems.length > 0 || !('view' in checked)) throw new SettingsError(problems)
  return { values, sources, policy: whole, view: checked.view, warnings: unknownInEnvironment(env) }
}

/** The preset `default` has a pace of its own, in the place of the seed's. */
function fallbackOf(name: SettingName, preset: Settings['preset'] | undefined): unknown {
  const paces: Partial<Record<SettingName, number>> = { checkInterval: 5, pingCount: 1, startupDelay: 0 }
  return preset === 'default' && name in paces ? paces[name] : settings[name].fallback
}

function rawOf(name: SettingName, { flags, env }: Given, file: ConfigFile): Raw | null {
  const { env: variable } = settings[name]
  if (flags[name] !== undefined) return { source: 'flag', name: flagOf(name), raw: flags[name] }
  if (env[variable] !== undefined) return { source: 'environment', name: variable, raw: env[variable] }
  if (file[name] !== undefined) return { source: 'file', name, raw: file[name] }
  return null
}

/** Undefined: not given, or wrong, and then `problems` has it. */
function readValue(name: SettingName, given: Raw | null, problems: SettingProblem[]): unknown {
  if (!given) return undefined
  const { kind, fallback } = settings[name]
  const { raw, ...where } = given
  if (raw === null || (typeof raw === 'string' && raw.trim() === '')) {
    const shown = (kind.show as (value: unknown) => string)(fallback)
    const right = `leave it out for the default${shown ? ` (${shown})` : ''}, or give ${kind.accepts}`
    problems.push({ ...where, is: 'is empty', right })
    return undefined
  }
  const read = kind.read(raw)
  if (read.ok) return read.value
  problems.push({ ...where, ...(!kind.isSecret && { value: shown(raw) }), ...read.fault })
  return undefined
}

/** On one line, cut, and without a password in it. */
const shown = (raw: unknown): string =>
  errorText(typeof raw === 'string' ? raw : (JSON.stringify(raw) ?? typeof raw))
    // What stands before an @ is a password more often than not, also in what is no URL.
    .replace(/[^\s/,"]*@/g, '***@')
    .slice(0, 80)

// ----------------------------------------------------------------------------------------------------------- the file

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function readFile(given: Given, problems: SettingProblem[]): ConfigFile {
  const raw = rawOf('config', given, {})
  const path = readValue('config', raw, [])
  if (!raw || typeof path !== 'string') return {}
  const read = readConfigFile(path)
  if (read.ok) return read.data
  problems.push(...read.faults.map((fault) => ({ name: raw.name, source: raw.source, value: shown(path), ...fault })))
  return {}
}

function unknownInFile(file: ConfigFile): SettingProblem[] {
  // The file does not name itself.
  const known: SettingName[] = settingNames.filter((name) => name !== 'config')
  return Object.keys(file)
    .filter((name) => !known.includes(name as SettingName))
    .map((name) => {
      const byVariable = known.find((one) => settings[one].env === name)
      const meant = byVariable ?? nearest(name, [...known, 'policy'])
      const right = meant ? `did you mean ${meant}?` : 'take it out; `pintail config` lists every setting'
      return { name: shown(name), source: 'file', is: 'is not known', right }
    })
}

/** A file that says one thing in two places would have to be guessed at. */
function saidTwice(file: ConfigFile, policy: unknown): SettingProblem[] {
  return settingNames.flatMap((name): SettingProblem[] => {
    const path = policyPathOf(name)
    if (path === null || file[name] === undefined || at(policy, path) === undefined) return []
    return [{ name, source: 'file', is: `is said twice, also as policy.${path}`, right: 'leave one of the two out' }]
  })
}

/** TCP needs a port; a canary that cannot be probed would be no canary. */
function withoutPort({ prober, tcpPort, canaries }: Settings, given: Raw | null): SettingProblem[] {
  const bare = canaries.filter(({ port }) => port === undefined).map(({ host }) => host)
  if (!given || prober === 'icmp' || tcpPort !== null || bare.length === 0) return []
  const right = `give ${bare[0]}:443 or another port that it has open, or PINTAIL_TCP_PORT`
  return [{ name: given.name, source: given.source, value: shown(bare.join(',')), is: `has no port, and the prober is ${prober}`, right }]
}

/** A state that should be shared is not begun in a place that nobody has named. */
function withoutDatabase({ store, postgresUrl }: Settings, given: Raw | null, url: Raw | null): SettingProblem[] {
  if (!given || store !== 'postgres' || postgresUrl !== '' || url) return []
  const right = 'give the address of the database in PINTAIL_POSTGRES_URL'
  return [{ name: given.name, source: given.source, value: 'postgres', is: 'needs a database', right }]
}

function clashes(values: Settings, rawFor: (name: SettingName) => Raw | null): SettingProblem[] {
  return accessClashes(values).map(({ setting, is, right }) => {
    const { name, source } = rawFor(setting) ?? { name: settings[setting].env, source: 'environment' as const }
    return { name, source, is, right }
  })
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

// ------------------------------------------------------------------------------------------------------ the environment

/** Other programs have variables of their own; those that begin with PINTAIL_ are meant for us. */
function unknownInEnvironment(env: Given['env']): string[] {
  const known = settingNames.map((name) => settings[name].env)
  return Object.keys(env)
    .filter((name) => name.startsWith('PINTAIL_') && !(known as string[]).includes(name))
    .sort()
    .map((name) => {
      const meant = nearest(name, known)
      return `${shown(name)} is not known and changes nothing${meant ? `; did you mean ${meant}?` : ''}`
    })
}
