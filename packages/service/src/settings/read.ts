import { errorText } from '@pintail/core'
import { type ConfigFile, readConfigFile } from './file.ts'
import { nearest } from './nearest.ts'
import { type Definitions, flagOf, type Setting, type ValuesOf } from './setting.ts'

/** Where a setting's value comes from. */
export type Source = 'flag' | 'environment' | 'file' | 'default'

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

/** What was said, and where. */
export interface Raw {
  readonly source: Exclude<Source, 'default'>
  readonly name: string
  readonly raw: unknown
}

export interface Reading<D extends Definitions> {
  readonly values: ValuesOf<D>
  readonly sources: { readonly [K in keyof D]: Source }
  readonly raws: ReadonlyMap<string, Raw>
}

/**
 * Flags before environment before file before defaults. What is wrong is added to `problems`, and has its default here.
 * @param fallbackOf where the default of one setting depends on what others say
 */
export function readAll<D extends Definitions>(
  definitions: D,
  { flags, env }: Given,
  file: ConfigFile,
  problems: SettingProblem[],
  fallbackOf: (name: keyof D & string) => unknown = (name) => definitions[name]?.fallback,
): Reading<D> {
  const names = Object.keys(definitions) as (keyof D & string)[]
  const found = names.flatMap((name) => {
    const raw = rawOf(name, definitions[name] as Setting<unknown>, { flags, env }, file)
    return raw ? [[name as string, raw] as const] : []
  })
  const raws = new Map(found)
  const valueFor = (name: keyof D & string) => readValue(definitions[name] as Setting<unknown>, raws.get(name) ?? null, problems)
  return {
    values: Object.fromEntries(names.map((name) => [name, valueFor(name) ?? fallbackOf(name)])) as ValuesOf<D>,
    sources: Object.fromEntries(names.map((name) => [name, raws.get(name)?.source ?? 'default'])) as Reading<D>['sources'],
    raws,
  }
}

function rawOf(name: string, { env: variable }: Setting<unknown>, { flags, env }: Given, file: ConfigFile): Raw | null {
  if (flags[name] !== undefined) return { source: 'flag', name: flagOf(name), raw: flags[name] }
  if (env[variable] !== undefined) return { source: 'environment', name: variable, raw: env[variable] }
  if (file[name] !== undefined) return { source: 'file', name, raw: file[name] }
  return null
}

/** Undefined: not given, or wrong, and then `problems` has it. */
function readValue({ kind, fallback }: Setting<unknown>, given: Raw | null, problems: SettingProblem[]): unknown {
  if (!given) return undefined
  const { raw, ...where } = given
  if (raw === null || (typeof raw === 'string' && raw.trim() === '')) {
    const shown = kind.show(fallback)
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
export const shown = (raw: unknown): string =>
  errorText(typeof raw === 'string' ? raw : (JSON.stringify(raw) ?? typeof raw))
    // What stands before an @ is a password more often than not, also in what is no URL.
    .replace(/[^\s/,"]*@/g, '***@')
    .slice(0, 80)

/** The file that `PINTAIL_CONFIG` names; nothing where it names none. */
export function readFile(config: Setting<string>, given: Given, problems: SettingProblem[]): ConfigFile {
  const raw = rawOf('config', config, given, {})
  const path = readValue(config, raw, [])
  if (!raw || typeof path !== 'string') return {}
  const read = readConfigFile(path)
  if (read.ok) return read.data
  problems.push(...read.faults.map((fault) => ({ name: raw.name, source: raw.source, value: shown(path), ...fault })))
  return {}
}

/** @param sections what a file of this command may have beside its settings */
export function unknownInFile(definitions: Definitions, file: ConfigFile, sections: readonly string[]): SettingProblem[] {
  // The file does not name itself.
  const known = Object.keys(definitions).filter((name) => name !== 'config')
  return Object.keys(file)
    .filter((name) => !known.includes(name) && !sections.includes(name))
    .map((name) => {
      const byVariable = known.find((one) => definitions[one]?.env === name)
      const meant = byVariable ?? nearest(name, [...known, ...sections])
      const right = meant ? `did you mean ${meant}?` : 'take it out; `pintail config` lists every setting'
      return { name: shown(name), source: 'file', is: 'is not known', right }
    })
}

/** A problem of a setting that does not go together with another one, where it was said. */
export function clash(definitions: Definitions, raws: ReadonlyMap<string, Raw>, { setting, is, right }: Clash): SettingProblem {
  const { name, source } = raws.get(setting) ?? { name: definitions[setting]?.env ?? setting, source: 'environment' as const }
  return { name, source, is, right }
}

/** A setting that does not go together with another one. */
export interface Clash<N extends string = string> {
  readonly setting: N
  readonly is: string
  readonly right: string
}
