// The tables of settings in the service's README, made from the settings themselves.
import { type Definitions, flagOf } from '../../packages/service/src/settings/setting.ts'
import { settings } from '../../packages/service/src/settings/settings.ts'
import { vantageSettings } from '../../packages/service/src/settings/vantage.ts'
import { workerSettings } from '../../packages/service/src/settings/worker.ts'

/** By the command whose they are. */
export const tables: Readonly<Record<string, Definitions>> = { serve: settings, worker: workerSettings, vantage: vantageSettings }

/** One row a setting: variable, default, what is accepted, what it does, its flag and its name in a file. */
export function settingsRows(definitions: Definitions): string {
  const rows = Object.entries(definitions).map(([name, { env, kind, fallback, doc }]) => {
    const flag = name === 'http' ? '--no-http' : flagOf(name)
    const shown = kind.show(fallback)
    return `| \`${env}\` | ${shown ? `\`${shown}\`` : '–'} | ${kind.accepts} | ${doc} | \`${flag}\`, \`${name}\` |`
  })
  return ['| variable | default | accepts | what it is | flag, name in a file |', '|---|---|---|---|---|', ...rows].join('\n')
}

/** The text with each table between its markers. */
export function withSettings(text: string): string {
  return Object.entries(tables).reduce((made, [command, definitions]) => withTable(made, command, definitions), text)
}

function withTable(text: string, command: string, definitions: Definitions): string {
  const [begin, end] = ['begin', 'end'].map((word) => `<!-- ${word}: npm run docs:service (${command}) -->`) as [string, string]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from === -1 || to < from) throw new Error(`the markers are missing: ${begin} … ${end}`)
  return `${text.slice(0, from + begin.length)}\n\n${settingsRows(definitions)}\n\n${text.slice(to)}`
}
