// The probers that checks and engines of the lab can be told to use, by name: a further one is one line more.
import { fping } from '@pintail/adapters/fping'
import { type WireguardProberOptions, wireguardProber } from '@pintail/adapters/wireguard'
import { allOf, anyOf, icmp, type Prober, tcp } from '@pintail/core'

/** The keys that wireguard needs. */
export type ProbeKeys = Pick<WireguardProberOptions, 'privateKey' | 'publicKeys' | 'presharedKey'>

const wireguard = (keys?: ProbeKeys) => wireguardProber(keys as WireguardProberOptions)

export const probers = {
  icmp: () => icmp(),
  tcp: () => tcp(),
  fping: () => fping(),
  wireguard,
  allOf: () => allOf(icmp(), tcp()),
  anyOf: () => anyOf(icmp(), tcp()),
  'icmp and wireguard': (keys?: ProbeKeys) => allOf(icmp(), wireguard(keys)),
} satisfies Record<string, (keys?: ProbeKeys) => Prober>

export type ProberName = keyof typeof probers
