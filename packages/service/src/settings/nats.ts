import { password, plainText } from './accessKinds.ts'
import { natsUrls, path, word } from './kinds.ts'
import type { Clash } from './read.ts'
import { setting, type ValuesOf } from './setting.ts'

/** How the broker is reached: the same for the engine, the workers of the regions and the vantages. */
export const natsSettings = {
  natsUrl: setting(
    'PINTAIL_NATS_URL',
    natsUrls(),
    [] as readonly string[],
    'the NATS servers (JetStream) over which workers of regions and remote vantages are reached; with it the servers, and who has access where, are in PostgreSQL instead of VPN Duck',
  ),
  natsCreds: setting('PINTAIL_NATS_CREDS', path('path of a .creds file'), '', 'who one is at NATS: a credentials file'),
  natsUser: setting('PINTAIL_NATS_USER', plainText('the name of a user'), '', 'who one is at NATS: a user, with its password'),
  natsPassword: setting('PINTAIL_NATS_PASSWORD', password(), '', "the user's password; it is shown nowhere. Better in a file"),
  natsPasswordFile: setting('PINTAIL_NATS_PASSWORD_FILE', path('path of a file'), '', "a file with the user's password and nothing else"),
  natsCa: setting(
    'PINTAIL_NATS_CA',
    path('path of a PEM file'),
    '',
    'the authority that signs the certificates of the NATS servers, where it is no public one',
  ),
  natsPrefix: setting(
    'PINTAIL_NATS_PREFIX',
    word({ pattern: /^[a-z][a-z0-9_-]{0,31}$/, accepts: 'a word', right: 'give up to 32 small letters, digits, _ and -, a letter first' }),
    'vpn',
    'what subjects and streams at NATS begin with: one for each fleet',
  ),
} as const

export type NatsValues = ValuesOf<typeof natsSettings>
type NatsName = keyof NatsValues

/** What says twice, or half, who one is at NATS. */
export function natsClashes(values: NatsValues, isGiven: (name: NatsName) => boolean): readonly Clash<NatsName>[] {
  const { natsCreds, natsUser, natsPassword, natsPasswordFile, natsUrl } = values
  const clashes: Clash<NatsName>[] = []
  const names: readonly NatsName[] = ['natsCreds', 'natsUser', 'natsPassword', 'natsPasswordFile', 'natsCa']
  const idle = names.filter((name) => isGiven(name) && values[name] !== '')
  if (natsUrl.length === 0 && !isGiven('natsUrl'))
    return idle.map((setting) => ({ setting, is: 'is for NATS, and no server is named', right: 'give its address in PINTAIL_NATS_URL' }))
  if (natsCreds !== '' && natsUser !== '')
    clashes.push({
      setting: 'natsCreds',
      is: 'is given, and a user too',
      right: 'leave one of PINTAIL_NATS_CREDS and PINTAIL_NATS_USER out',
    })
  if (natsPassword !== '' && natsPasswordFile !== '')
    clashes.push({ setting: 'natsPassword', is: 'is given, and a file with one too', right: 'leave one of the two out' })
  const hasPassword = natsPassword !== '' || natsPasswordFile !== ''
  if (hasPassword && natsUser === '')
    clashes.push({
      setting: natsPassword === '' ? 'natsPasswordFile' : 'natsPassword',
      is: 'belongs to no user',
      right: 'give the user in PINTAIL_NATS_USER',
    })
  if (!hasPassword && natsUser !== '')
    clashes.push({ setting: 'natsUser', is: 'has no password', right: 'give a file with it in PINTAIL_NATS_PASSWORD_FILE' })
  return clashes
}
