import { type VpnDuck, vpnDuck } from '@pintail/adapters/vpn-duck'
import type { Logger } from '@pintail/core'
import type { Settings } from './settings/settings.ts'

/** VPN Duck as the settings name it. Nothing is called yet. */
export function connectVpnDuck(values: Settings, logger?: Logger): VpnDuck {
  const { databaseServiceUrl, wireguardServiceUrl, dialect, wireguard } = values
  return vpnDuck({
    databaseServiceUrl,
    dialect,
    ...(wireguard && { wireguard: { url: wireguardServiceUrl } }),
    ...(logger && { logger }),
  })
}
