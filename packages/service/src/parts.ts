import { type MoveLedger, type VpnDuck, vpnDuck } from '@pintail/adapters/vpn-duck'
import type { Logger, ServerRegistry } from '@pintail/core'
import { withPort } from './probers.ts'
import type { ListedBy } from './registry.ts'
import type { Settings } from './settings/settings.ts'

interface Acting {
  readonly logger: Logger
  readonly ledger: MoveLedger | null
}

/** VPN Duck as the settings name it, with the port that is to be probed. Nothing is called yet. */
export function connectVpnDuck(values: Settings, acting?: Acting): { readonly duck: VpnDuck; readonly registry: ServerRegistry } {
  const { databaseServiceUrl, wireguardServiceUrl, dialect, wireguard, tcpPort } = values
  const duck = vpnDuck({
    databaseServiceUrl,
    dialect,
    ...(wireguard && { wireguard: { url: wireguardServiceUrl } }),
    ...acting,
  })
  return { duck, registry: withPort(duck.registry, tcpPort) }
}

export const listedByVpnDuck = (url: string): ListedBy => ({
  name: `the database service at ${url.replace(/(\w:\/\/)[^\s/@]*@/, '$1***@')}`,
  remedy: 'Check DATABASE_SERVICE_URL, and that the service runs.',
})
