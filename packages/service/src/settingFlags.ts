import { type Command, Option } from 'commander'
import { type Definitions, flagOf } from './settings/setting.ts'

/** Headings of the help: from which setting on, and what it says. */
export type SettingGroups = readonly (readonly [first: string, heading: string])[]

/** Every setting as a flag. Values are read later, together with those from elsewhere. */
export function addSettings(command: Command, definitions: Definitions, groups: SettingGroups): Command {
  let heading = ''
  for (const [name, { env, kind, fallback, doc }] of Object.entries(definitions)) {
    heading = groups.find(([first]) => first === name)?.[1] ?? heading
    const shown = kind.show(fallback)
    const told = `${doc} (${env}${shown ? `, default ${shown}` : ''})`
    if (name === 'http') command.addOption(new Option('--no-http', `serves no /health (${env}=off)`).helpGroup(heading))
    else command.addOption(new Option(`${flagOf(name)} <${kind.argument}>`, told).helpGroup(heading))
  }
  return command
}

/** What the flags of a command line say, by the names of settings. */
export function flagsOf(command: Command, definitions: Definitions): Readonly<Record<string, unknown>> {
  const options = command.opts() as Readonly<Record<string, unknown>>
  const given = Object.keys(definitions).filter((name) => command.getOptionValueSource(name) === 'cli')
  return Object.fromEntries(given.map((name) => [name, options[name]]))
}

export function example(...lines: readonly (readonly [command: string, what: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length))
  return `\nExamples:\n${lines.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`).join('\n')}\n`
}
