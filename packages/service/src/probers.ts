import { allOf, icmp, type Prober, tcp } from '@pintail/core'
import type { Settings } from './settings/settings.ts'

/** TCP on one port for all servers, whatever the registry says: the port in VPN Duck's database is WireGuard's, which is UDP. */
export function tcpOn(port: number): Prober {
  const inner = tcp({ port })
  return { name: inner.name, probe: (target, ctx) => inner.probe({ ...target, port }, ctx) }
}

export function proberFor({ prober, tcpPort }: Pick<Settings, 'prober' | 'tcpPort'>): Prober {
  const open = (): Prober => (tcpPort === null ? tcp() : tcpOn(tcpPort))
  if (prober === 'icmp') return icmp()
  return prober === 'tcp' ? open() : allOf(icmp(), open())
}
