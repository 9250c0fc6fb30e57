import { type Clock, type Logger, PintailError, type Problem, systemClock } from '@pintail/core'
import type { Access } from '../regions/index.ts'
import { type Cidr, parseCidr } from './cidr.ts'
import type { WireGuardDevice } from './device.ts'
import { keyProblem } from './keys.ts'
import { memoryLedger, type PeerLedger } from './ledger.ts'

/** What clients are told of a server besides their own addresses. */
export interface ClientSettings {
  /** `host:port` at which clients reach the server; an IPv6 address in brackets. */
  readonly endpointOf: (serverId: string) => string
  /** What `wg show wg0 public-key` prints there. */
  readonly publicKeyOf: (serverId: string) => string
  /** Addresses of resolvers, at most 8. Default none. */
  readonly dns?: readonly string[]
  /** What goes through the tunnel. Default everything: `0.0.0.0/0` and `::/0`. */
  readonly allowedIps?: readonly string[]
  /** 576–65 535. Default: the client's own choice. */
  readonly mtu?: number | null
  /** Seconds, 1–65 535; null: none. Default 25, so that a client behind NAT stays reachable. */
  readonly persistentKeepalive?: number | null
}

export interface WireguardHandlerOptions {
  /** The interface of each server that this worker serves; one device alone: of whatever server is named. */
  readonly devices: WireGuardDevice | Readonly<Record<string, WireGuardDevice>>
  readonly client: ClientSettings
  /** The networks that users' addresses come from, as `['10.7.0.0/16']`: an address outside of them is refused. Default: any. */
  readonly addresses?: readonly string[]
  /** Whose peer is whose. `fileLedger({ path })` outlives the process. Default `memoryLedger()`. */
  readonly ledger?: PeerLedger
  /** A preshared key for a user's peer, from a secret of this machine: none ever comes with a command. Absent or null: none. */
  readonly presharedKeyOf?: (access: Access) => string | null | PromiseLike<string | null>
  /** Peers that nobody is noted for are Pintail's too, and a sync removes them. Default false: they are left alone. Peers without addresses (probes) and those of `keep` are left in any case. */
  readonly ownsAll?: boolean
  /** Public keys of peers that are never touched, and never given to a user. Default none. */
  readonly keep?: readonly string[]
  /** Nothing is changed: it tells in the log and in the result what it would do. Default false. */
  readonly dryRun?: boolean
  /** How old the latest handshake of a client may be to whom the access is usable, 1 000–86 400 000. Default 180 000: WireGuard makes one every two minutes of traffic. */
  readonly handshakeMs?: number
  readonly logger?: Logger
  readonly clock?: Pick<Clock, 'now'>
}

export interface HandlerSettings {
  readonly deviceOf: (serverId: string) => WireGuardDevice | null
  readonly pool: readonly Cidr[]
  readonly ledger: PeerLedger
  readonly keep: ReadonlySet<string>
  readonly ownsAll: boolean
  readonly dryRun: boolean
  readonly handshakeMs: number
  readonly clock: Pick<Clock, 'now'>
}

/** @throws PintailError `invalid_options` naming every problem */
export function handlerSettings(options: WireguardHandlerOptions): HandlerSettings {
  const { devices, client, addresses = [], keep = [], handshakeMs = 180_000, clock = systemClock } = options
  const problems: Problem[] = []
  const check = (isGood: boolean, path: string, message: string): void => {
    if (!isGood) problems.push({ path, message })
  }
  const isDevice = (value: unknown): value is WireGuardDevice =>
    typeof (value as WireGuardDevice | null)?.peers === 'function' && typeof (value as WireGuardDevice).apply === 'function'
  const own = isDevice(devices) ? null : new Map(Object.entries(devices ?? {}))
  check(
    isDevice(devices) || (own !== null && own.size > 0 && [...own.values()].every(isDevice)),
    'devices',
    'must be a device, or devices by server id',
  )
  check(typeof client?.endpointOf === 'function', 'client.endpointOf', 'must be a function')
  check(typeof client?.publicKeyOf === 'function', 'client.publicKeyOf', 'must be a function')
  for (const [path, networks] of [
    ['addresses', addresses],
    ['client.allowedIps', client?.allowedIps ?? []],
  ] as const)
    for (const one of networks) check(parseCidr(one) !== null, path, `is no network: ${JSON.stringify(String(one).slice(0, 60))}`)
  check(
    keep.every((key) => keyProblem(key) === null),
    'keep',
    'must be public keys',
  )
  check(handshakeMs >= 1000 && handshakeMs <= 86_400_000, 'handshakeMs', 'must be from 1000 to 86400000')
  if (problems.length > 0)
    throw new PintailError(
      'invalid_options',
      `wireguardHandler: ${problems.map(({ path, message }) => `${path} ${message}`).join('; ')}`.slice(0, 1000),
      { problems, remedy: 'Mend each of the listed values.' },
    )
  return {
    deviceOf: own === null ? () => devices as WireGuardDevice : (serverId) => own.get(serverId) ?? null,
    pool: addresses.flatMap((one) => parseCidr(one) ?? []),
    ledger: options.ledger ?? memoryLedger(),
    keep: new Set(keep),
    ownsAll: options.ownsAll ?? false,
    dryRun: options.dryRun ?? false,
    handshakeMs,
    clock,
  }
}
