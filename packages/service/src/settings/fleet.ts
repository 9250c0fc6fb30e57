import { natsClashes } from './nats.ts'
import type { Clash } from './read.ts'
import type { SettingName, Settings } from './settings.ts'

/** Whether users are moved by workers of regions over NATS; else by VPN Duck. */
export const isByNats = ({ natsUrl }: Pick<Settings, 'natsUrl'>): boolean => natsUrl.length > 0

/** What is VPN Duck's alone, and would be silently without effect. */
const ofVpnDuck: readonly SettingName[] = [
  'databaseServiceUrl',
  'wireguardServiceUrl',
  'dialect',
  'wireguard',
  'ledger',
  'metrics',
  'resume',
]

/** What is of workers and vantages alone. */
const ofNats: readonly SettingName[] = ['natsReplicas', 'syncInterval', 'webhookUrl', 'webhookSecret']

/** Who moves users, and where their books are, must go together. */
export function fleetClashes(values: Settings, isGiven: (name: SettingName) => boolean): readonly Clash<SettingName>[] {
  const clashes: Clash<SettingName>[] = [...natsClashes(values, isGiven)]
  if (!isByNats(values)) {
    if (isGiven('natsUrl')) return clashes
    const idle = ofNats.filter(isGiven)
    return [
      ...clashes,
      ...idle.map((setting) => ({ setting, is: 'is for NATS, and no server is named', right: 'give its address in PINTAIL_NATS_URL' })),
    ]
  }
  if (values.store !== 'postgres')
    clashes.push({
      setting: 'natsUrl',
      is: `needs PostgreSQL, and the state is in ${values.store}`,
      right: 'the servers, and who has access where, are kept there: give PINTAIL_STORE=postgres and PINTAIL_POSTGRES_URL',
    })
  if ((values.webhookUrl === '') !== (values.webhookSecret === ''))
    clashes.push(
      values.webhookSecret === ''
        ? { setting: 'webhookUrl', is: 'has no secret', right: 'give one in PINTAIL_WEBHOOK_SECRET: whsec_ and 24 to 64 bytes in base64' }
        : { setting: 'webhookSecret', is: 'signs nothing', right: 'give the address in PINTAIL_WEBHOOK_URL' },
    )
  for (const setting of ofVpnDuck.filter(isGiven))
    clashes.push({ setting, is: 'is for VPN Duck, and PINTAIL_NATS_URL is given', right: 'leave one of the two out' })
  return clashes
}
