// The table of settings in the service's README, made from the settings themselves.
import { flagOf, settingNames, settings } from '../../packages/service/src/settings/settings.ts'
import { showValue } from '../../packages/service/src/settings/show.ts'

/** One row a setting: variable, default, what is accepted, what it does, its flag and its name in a file. */
export function settingsRows(): string {
  const rows = settingNames.map((name) => {
    const { env, kind, fallback, doc } = settings[name]
    const flag = name === 'http' ? '--no-http' : flagOf(name)
    const shown = showValue(name, fallback)
    return `| \`${env}\` | ${shown ? `\`${shown}\`` : '–'} | ${kind.accepts} | ${doc} | \`${flag}\`, \`${name}\` |`
  })
  return ['| variable | default | accepts | what it is | flag, name in a file |', '|---|---|---|---|---|', ...rows].join('\n')
}

const [begin, end] = ['<!-- begin: npm run docs:service -->', '<!-- end: npm run docs:service -->']

/** The text with the table between its markers. */
export function withSettings(text: string): string {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from === -1 || to < from) throw new Error(`the markers are missing: ${begin} … ${end}`)
  return `${text.slice(0, from + begin.length)}\n\n${settingsRows()}\n\n${text.slice(to)}`
}
