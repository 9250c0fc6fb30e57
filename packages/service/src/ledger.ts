import { createHash } from 'node:crypto'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileLedger, type MoveLedger } from '@pintail/adapters/vpn-duck'
import { errorText } from '@pintail/core'
import type { Logger } from 'pino'
import type { Settings } from './settings/settings.ts'

type Env = Readonly<Record<string, string | undefined>>

/**
 * The file that keeps whom the service has moved; null: none is wanted, or there is no place for one.
 * @throws PintailError `invalid_options` if the file that was named cannot be written
 */
export function openLedger({ ledger, databaseServiceUrl }: Settings, env: Env, logger: Logger): MoveLedger | null {
  if (ledger === 'off') return null
  if (ledger !== 'auto') return fileLedger(ledger)
  const path = join(stateFolder(env), `moves-${shortName(databaseServiceUrl)}.jsonl`)
  try {
    const opened = fileLedger(path)
    logger.debug({ path }, `whom it moves is kept for a day in ${path}`)
    return opened
  } catch (error) {
    const remedy = 'Name a file that it may write in PINTAIL_LEDGER, or set it to off.'
    const what = 'whom it moves is kept in memory only: if it is killed, VPN Duck v2 cannot tell the next run who has been moved already'
    logger.warn({ err: errorText(error), remedy }, `${what}. ${remedy}`)
    return null
  }
}

/** systemd's StateDirectory, or the XDG one. */
export function stateFolder(env: Env): string {
  const given = env.STATE_DIRECTORY?.split(delimiter)[0]
  if (given) return given
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'pintail')
}

/** For one file a database service. Its address may hold a password, which belongs in no name. */
export function shortName(url: string): string {
  return createHash('sha256').update(url).digest('hex').slice(0, 12)
}
