import { nearest } from './nearest.ts'
import { shown } from './read.ts'
import { settings } from './settings.ts'
import { vantageSettings } from './vantage.ts'
import { workerSettings } from './worker.ts'

/** The variables of all commands: one environment may be for several of them. */
export const everyVariable = (): readonly string[] => [
  ...new Set([settings, workerSettings, vantageSettings].flatMap((all) => Object.values(all).map(({ env }) => env))),
]

/** Other programs have variables of their own; those that begin with PINTAIL_ are meant for us. */
export function unknownVariables(env: Readonly<Record<string, string | undefined>>, known: readonly string[]): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith('PINTAIL_') && !known.includes(name))
    .sort()
    .map((name) => {
      const meant = nearest(name, known)
      return `${shown(name)} is not known and changes nothing${meant ? `; did you mean ${meant}?` : ''}`
    })
}
