import type { PolicyInput } from '@pintail/core'
import { everyVariable, unknownVariables } from './every.ts'
import type { ConfigFile } from './file.ts'
import { type NatsValues, natsClashes, natsSettings } from './nats.ts'
import { clash, type Given, type Reading, readAll, readFile, type SettingProblem, SettingsError, unknownInFile } from './read.ts'
import type { Definitions } from './setting.ts'
import { vantageSettings } from './vantage.ts'
import { withoutPort } from './withoutPort.ts'
import { workerSettings } from './worker.ts'
import { readSections, type WorkerSections } from './workerSections.ts'

export interface ResolvedRemote<D extends Definitions, S = Record<string, never>> extends Omit<Reading<D>, 'raws'> {
  /** What the file has beside settings, by name. */
  readonly sections: S
  /** What is suspicious and stops nothing. */
  readonly warnings: readonly string[]
}

interface Needs {
  /** Settings without which it cannot begin, and what is to be given. */
  readonly needed: Readonly<Record<string, string>>
  readonly sections: readonly string[]
}

function resolve<D extends Definitions & typeof common>(definitions: D, given: Given, { needed, sections }: Needs) {
  const problems: SettingProblem[] = []
  const file = readFile(definitions.config, given, problems)
  const reading = readAll(definitions, given, file, problems)
  const { values, sources, raws } = reading
  problems.push(...unknownInFile(definitions, file, sections))
  const isGiven = (name: string): boolean => raws.has(name)
  for (const clashing of natsClashes(values as never, isGiven)) problems.push(clash(definitions, raws, clashing))
  for (const [name, right] of Object.entries(needed))
    if (!isGiven(name)) problems.push({ name: definitions[name]?.env ?? name, source: 'environment', is: 'is missing', right })
  const kept = Object.fromEntries(sections.flatMap((name) => (file[name] === undefined ? [] : [[name, file[name]]])))
  return { problems, raws, resolved: { values, sources, sections: kept, warnings: unknownVariables(given.env, everyVariable()) } }
}

const common = { config: workerSettings.config }
const broker = 'give the address of the broker, such as nats://nats.example:4222'

export type ResolvedWorker = ResolvedRemote<typeof workerSettings, WorkerSections>
export type ResolvedVantage = ResolvedRemote<typeof vantageSettings, VantageSections>

interface VantageSections {
  /** As in the policy; whoever probes by it checks it. */
  readonly detect?: NonNullable<PolicyInput['detect']>
}

/** What `pintail worker` is told. @throws SettingsError naming everything that is wrong */
export function resolveWorker(given: Given): ResolvedWorker {
  const { problems, resolved } = resolve(workerSettings, given, {
    needed: {
      natsUrl: broker,
      region: 'give the region whose commands it carries out, such as de',
      handler: 'give wireguard, or command for programs of your own',
    },
    sections: ['wireguard', 'command'],
  })
  const { values, sections } = resolved
  problems.push(...handlerProblems(values.handler, sections, problems))
  const read = readSections(sections)
  problems.push(...read.problems)
  if (problems.length > 0) throw new SettingsError(problems)
  return { ...resolved, sections: read.sections }
}

/** The handler, and what the file says of it, must go together. */
function handlerProblems(handler: string, sections: ConfigFile, before: readonly SettingProblem[]): SettingProblem[] {
  if (before.some(({ name }) => /^(PINTAIL_HANDLER|--handler|handler)$/.test(name))) return []
  const at = { source: 'file' } as const
  if (handler === 'none') return [{ name: 'PINTAIL_HANDLER', source: 'environment', is: 'is none', right: 'give wireguard or command' }]
  const right =
    handler === 'command'
      ? 'give the programs in the config file, as `command: { grant: […], revoke: […] }`'
      : 'give the servers in the config file, as `wireguard: { servers: { de-1: { endpoint: …, publicKey: … } } }`'
  const missing = sections[handler] === undefined ? [{ name: handler, ...at, is: 'is missing', right }] : []
  const others = ['command', 'wireguard'].filter((name) => name !== handler && sections[name] !== undefined)
  return [...missing, ...others.map((name) => ({ name, ...at, is: `is for another handler than ${handler}`, right: 'take it out' }))]
}

/** What `pintail vantage` is told. @throws SettingsError naming everything that is wrong */
export function resolveVantage(given: Given): ResolvedVantage {
  const { problems, raws, resolved } = resolve(vantageSettings, given, {
    needed: { natsUrl: broker, vantage: 'give its name, as in policy.detect.vantages of the engine' },
    sections: ['detect'],
  })
  problems.push(...withoutPort(resolved.values, raws.get('canaries')))
  if (problems.length > 0) throw new SettingsError(problems)
  return { ...resolved, sections: resolved.sections as VantageSections }
}

/** How the broker is reached, whatever else the environment is for. @throws SettingsError */
export function resolveNats(given: Given): NatsValues {
  const problems: SettingProblem[] = []
  const definitions = { ...natsSettings, config: workerSettings.config }
  const { values, raws } = readAll(definitions, given, readFile(definitions.config, given, problems), problems)
  for (const one of natsClashes(values, (name) => raws.has(name))) problems.push(clash(definitions, raws, one))
  if (values.natsUrl.length === 0 && !raws.has('natsUrl'))
    problems.push({ name: 'PINTAIL_NATS_URL', source: 'environment', is: 'is missing', right: broker })
  if (problems.length > 0) throw new SettingsError(problems)
  return values
}
