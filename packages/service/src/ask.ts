import { errorText } from '@pintail/core'
import type { ServiceHealth } from './health.ts'
import type { Terminal } from './io.ts'
import { readAll, readFile, type SettingProblem, SettingsError } from './settings/read.ts'
import { settings } from './settings/settings.ts'

const waitMs = 5000

/** Asks a running service for its health, for a container's HEALTHCHECK and for people. */
export async function health({ url, live }: { readonly url?: string; readonly live: boolean }, terminal: Terminal): Promise<number> {
  const base = (url ?? ownAddress(terminal)).replace(/\/+$/, '')
  try {
    const response = await fetch(`${base}/health${live ? '/live' : ''}`, { signal: AbortSignal.timeout(waitMs), redirect: 'error' })
    const answer = (await response.json()) as Partial<ServiceHealth>
    if (live) terminal.out(response.ok ? 'live\n' : 'not live\n')
    else terminal.out(answer.ready ? `ready${what(answer)}\n` : `not ready: ${answer.reasons?.join(', ')}\n`)
    return response.ok ? 0 : 1
  } catch (error) {
    const why = error instanceof Error && error.cause !== undefined ? errorText(error.cause) : errorText(error)
    terminal.err(`pintail health: ${base} does not answer: ${why}\n`)
    return 1
  }
}

/** Workers and vantages have no mode. */
const what = ({ state, mode }: Partial<ServiceHealth>): string => (state === undefined ? '' : `: ${state}, mode ${mode}`)

/** The environment may be that of any command: only what names the address is read. */
function ownAddress({ env }: Terminal): string {
  const problems: SettingProblem[] = []
  const { host: at, port: on, config } = settings
  const file = readFile(config, { flags: {}, env }, problems)
  const { host, port } = readAll({ host: at, port: on }, { flags: {}, env }, file, problems).values
  if (problems.length > 0) throw new SettingsError(problems)
  // An address that means "all of this machine" is none that can be asked.
  const asked = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${asked.includes(':') ? `[${asked}]` : asked}:${port}`
}
