import type { HostAndPort } from './kinds.ts'
import { type Raw, type SettingProblem, shown } from './read.ts'

interface Probing {
  readonly prober: string
  readonly tcpPort: number | null
  readonly canaries: readonly HostAndPort[]
}

/** TCP needs a port; a canary that cannot be probed would be no canary. */
export function withoutPort({ prober, tcpPort, canaries }: Probing, given: Raw | undefined): SettingProblem[] {
  const bare = canaries.filter(({ port }) => port === undefined).map(({ host }) => host)
  if (!given || prober === 'icmp' || tcpPort !== null || bare.length === 0) return []
  const right = `give ${bare[0]}:443 or another port that it has open, or PINTAIL_TCP_PORT`
  return [{ name: given.name, source: given.source, value: shown(bare.join(',')), is: `has no port, and the prober is ${prober}`, right }]
}
