import { type CallContext, type Json, type JsonObject, PintailError } from '@pintail/core'
import type { Access, HandlerContext, RegionHandler } from '../regions/index.ts'
import { parseAccess, parseGrant, type WireGuardAccess, type WireGuardGrant } from './access.ts'
import { type ClientSettings, handlerSettings, type WireguardHandlerOptions } from './handlerOptions.ts'
import { keyProblem } from './keys.ts'
import { Peers } from './peers.ts'
import type { PeerPlan } from './plan.ts'

/** What `wireguardHandler` has: all that a worker may ask. */
export type WireguardHandler = Required<Omit<RegionHandler, 'sync'>>

/**
 * Grants, revokes and lists peers on the WireGuard interfaces of this machine, for a region's worker. The payload of a
 * grant is `WireGuardGrant`; what it returns is `WireGuardAccess`, the client's configuration without his private key.
 * Each call is decided by what the daemon says at that moment; calls that come at the same time share one look and one change.
 *
 * Refused for good (`rejected`, and nobody loses anything): `BAD_PAYLOAD`, `OUT_OF_POOL`, `OWN_KEY`, `KEY_TAKEN` (two
 * connections with one key), `ADDRESS_TAKEN`, `UNKNOWN_SERVER`; the code stands at the beginning of the message.
 * `unavailable`: the interface could not be reached, and nothing was changed.
 *
 * `check` is true when the client has shaken hands with the new peer since it was granted, at most `handshakeMs` ago.
 * @throws PintailError `invalid_options` naming every bad option
 */
export function wireguardHandler(options: WireguardHandlerOptions): WireguardHandler {
  const settings = handlerSettings(options)
  const { client, logger, presharedKeyOf } = options
  const known = new Map<string, Peers>()
  const peersOf = (serverId: string): Peers => {
    const device = settings.deviceOf(serverId)
    if (device === null)
      throw new PintailError('rejected', `UNKNOWN_SERVER: no interface here is server ${serverId.slice(0, 80)}`, {
        remedy: 'Add it to `devices`.',
      })
    const peers = known.get(serverId) ?? new Peers(serverId, device, settings)
    known.set(serverId, peers)
    return peers
  }
  const would = (access: Access, plan: PeerPlan | null): JsonObject => {
    const { set = [], remove = [] } = plan ?? {}
    const counts = { set: set.length, remove: remove.length }
    logger?.info({ serverId: access.serverId, connectionId: access.connectionId, ...counts }, 'dry run: peers that would be changed')
    return { dryRun: true, would: { set: set.map(({ publicKey, allowedIps }) => ({ publicKey, allowedIps })), remove } }
  }
  return {
    async grant(access, ctx) {
      const peers = peersOf(access.serverId)
      const grant = parseGrant(access.payload)
      // Before anything is changed: whoever cannot be told how to connect gets no peer either.
      const answer = accessOf(access.serverId, grant, client)
      const presharedKey = (await presharedKeyOf?.(access)) ?? null
      if (presharedKey !== null && keyProblem(presharedKey) !== null)
        throw new PintailError('unavailable', 'presharedKeyOf has returned what is no key', {
          remedy: 'It must be 32 bytes in base64, as `wg genpsk` prints.',
        })
      const ownKey = answer.server.publicKey
      const { plan } = await peers.run({ kind: 'grant', access, grant, ownKey, presharedKey }, callOf(ctx))
      return { ...(answer as unknown as JsonObject), ...(settings.dryRun && would(access, plan)) }
    },
    async revoke(access, ctx): Promise<Json> {
      const { plan } = await peersOf(access.serverId).run({ kind: 'revoke', access }, callOf(ctx))
      if (settings.dryRun) return would(access, plan)
      return { removed: plan?.remove.length ?? 0 }
    },
    async list(serverId, ctx) {
      return (await peersOf(serverId).run({ kind: 'list' }, callOf(ctx))).listed
    },
    async check(access, ctx) {
      if (settings.dryRun) return false
      return (await peersOf(access.serverId).run({ kind: 'check', access }, callOf(ctx))).isUsable
    },
  }
}

const callOf = ({ signal }: HandlerContext): CallContext => ({ signal })

/** @throws PintailError `unavailable`: this worker does not know the server well enough to tell a client */
function accessOf(serverId: string, { publicKey, allowedIps }: WireGuardGrant, client: ClientSettings): WireGuardAccess {
  try {
    const access: WireGuardAccess = {
      serverId,
      publicKey,
      address: allowedIps,
      dns: client.dns ?? [],
      mtu: client.mtu ?? null,
      server: {
        publicKey: client.publicKeyOf(serverId),
        endpoint: client.endpointOf(serverId),
        allowedIps: client.allowedIps ?? ['0.0.0.0/0', '::/0'],
        persistentKeepalive: client.persistentKeepalive === undefined ? 25 : client.persistentKeepalive,
      },
    }
    return parseAccess(access as unknown as JsonObject)
  } catch (cause) {
    throw new PintailError(
      'unavailable',
      `what clients of server ${serverId.slice(0, 80)} are to be told is not complete: ${cause instanceof Error ? cause.message : ''}`.slice(
        0,
        300,
      ),
      {
        cause,
        remedy: 'Mend `client` of wireguardHandler: endpointOf, publicKeyOf and the other values.',
      },
    )
  }
}
