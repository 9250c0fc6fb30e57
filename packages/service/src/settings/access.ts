import type { Clash } from './read.ts'
import type { SettingName, Settings } from './settings.ts'

const isLoopback = (host: string): boolean => /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/.test(host)

export const hasAccounts = ({ apiKeys, jwtSecret, jwtJwks }: Pick<Settings, 'apiKeys' | 'jwtSecret' | 'jwtJwks'>): boolean =>
  apiKeys.length > 0 || jwtSecret !== '' || jwtJwks !== ''

/** Whether `/metrics` asks for an account. Where nobody has one it is as it was before there were any. */
export function guardsMetrics(values: Settings): boolean {
  const { prometheusAccess, host, api } = values
  if (prometheusAccess !== 'auto') return prometheusAccess === 'account'
  return !isLoopback(host) && api === 'auto' && hasAccounts(values)
}

/** What would be open by accident, or open to nobody. */
export function accessClashes(values: Settings): readonly Clash<SettingName>[] {
  const { api, host, jwtJwks, jwtIssuer, prometheusAccess } = values
  const clashes: Clash<SettingName>[] = []
  if (api === 'open' && !isLoopback(host))
    clashes.push({ setting: 'api', is: `is open to all who reach ${host}`, right: 'set PINTAIL_HOST=127.0.0.1, or configure accounts' })
  if (api === 'open' && hasAccounts(values))
    clashes.push({ setting: 'api', is: 'is open, and accounts are configured', right: 'leave one of the two out' })
  // Keys of an identity provider sign the tokens of all its applications.
  if (jwtJwks !== '' && jwtIssuer === '')
    clashes.push({ setting: 'jwtJwks', is: 'needs an issuer', right: 'give the iss of its tokens in PINTAIL_JWT_ISSUER' })
  if (prometheusAccess === 'account' && (!hasAccounts(values) || api !== 'auto'))
    clashes.push({ setting: 'prometheusAccess', is: 'needs an account', right: 'configure PINTAIL_API_KEYS; pintail key makes one' })
  return clashes
}
