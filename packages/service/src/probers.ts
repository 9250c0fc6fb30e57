import { allOf, icmp, type Prober, type ServerRegistry, tcp } from '@pintail/core'
import { collect } from './listing.ts'
import type { Settings } from './settings/settings.ts'

export function proberFor({ prober, tcpPort }: Pick<Settings, 'prober' | 'tcpPort'>): Prober {
  const open = (): Prober => tcp(tcpPort === null ? {} : { port: tcpPort })
  if (prober === 'icmp') return icmp()
  return prober === 'tcp' ? open() : allOf(icmp(), open())
}

/**
 * The registry with one port for all servers: the one in VPN Duck's database is WireGuard's, which is UDP. Canaries keep
 * the port that they were given.
 */
export function withPort(registry: ServerRegistry, port: number | null): ServerRegistry {
  if (port === null) return registry
  return {
    listServers: async (ctx) => (await collect(registry.listServers(ctx))).map((row) => ({ ...row, port })),
    listConnections: (server, ctx) => registry.listConnections(server, ctx),
    ...(registry.coverage && { coverage: registry.coverage }),
    ...(registry.setServerStatus && { setServerStatus: registry.setServerStatus.bind(registry) }),
  }
}
