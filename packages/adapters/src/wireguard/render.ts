import type { WireGuardAccess } from './access.ts'

/** Stands where the client's private key belongs, which is on his device alone. */
const privateKeyPlaceholder = '<the private key of this device>'

/**
 * The configuration as `wg-quick` and every WireGuard app read it. All values have been checked, so that none can bring a
 * line of its own.
 */
export function renderConfig({ address, dns, mtu, server }: WireGuardAccess, privateKey: string | null): string {
  const lines = ['[Interface]', `PrivateKey = ${privateKey ?? privateKeyPlaceholder}`, `Address = ${address.join(', ')}`]
  if (dns.length > 0) lines.push(`DNS = ${dns.join(', ')}`)
  if (mtu !== null) lines.push(`MTU = ${mtu}`)
  lines.push('', '[Peer]', `PublicKey = ${server.publicKey}`, `Endpoint = ${server.endpoint}`)
  if (server.allowedIps.length > 0) lines.push(`AllowedIPs = ${server.allowedIps.join(', ')}`)
  if (server.persistentKeepalive !== null) lines.push(`PersistentKeepalive = ${server.persistentKeepalive}`)
  return `${lines.join('\n')}\n`
}
