import { type VpnDuck, vpnDuck } from '@pintail/adapters/vpn-duck'
import type { Logger, ServerRegistry } from '@pintail/core'
import { withPort } from './probers.ts'
import type { Settings } from './settings/settings.ts'

/** VPN Duck as the settings name it, with the port that is to be probed. Nothing is called yet. */
export function connectVpnDuck(values: Settings, logger?: Logger): { readonly duck: VpnDuck; readonly registry: ServerRegistry } {
  const { databaseServiceUrl, wireguardServiceUrl, dialect, wireguard, tcpPort, ledger } = values
  const duck = vpnDuck({
    databaseServiceUrl,
    dialect,
    ...(wireguard && { wireguard: { url: wireguardServiceUrl } }),
    // Without a logger it is only looked: nothing is moved, and nothing written.
    ...(logger && { logger, ...(ledger && { ledger }) }),
  })
  return { duck, registry: withPort(duck.registry, tcpPort) }
}
