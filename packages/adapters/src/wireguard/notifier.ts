import { type CallContext, type ClientNotifier, type Json, type JsonObject, type Move, PintailError, type Server } from '@pintail/core'
import type { Webhook } from '../webhook/index.ts'
import { parseAccess, type WireGuardAccess } from './access.ts'
import { keyProblem } from './keys.ts'
import { renderConfig } from './render.ts'

/** What a client has to do, in this order. */
export type ClientStep =
  /** Null: every peer that he has. */
  { readonly do: 'remove_peer'; readonly publicKey: string | null } | { readonly do: 'add_peer'; readonly peer: WireGuardAccess['server'] }

/** What is handed to the host for one user. Plain JSON. */
export interface ClientUpdate {
  /** `access.moved`: he has a new server. `access.kept`: he is back at one, with the access that he had there. */
  readonly type: 'access.moved' | 'access.kept'
  /** The move's key: the same update comes again with the same one. */
  readonly id: string
  readonly connectionId: string
  readonly userId: string | null
  readonly fromServerId: string
  readonly toServerId: string
  readonly reason: string
  /** Null with `access.kept`, where `accessOf` knows of none: the client's own configuration for that server holds. */
  readonly access: WireGuardAccess | null
  /** A file for wg-quick and the apps; null where `access` is. */
  readonly config: string | null
  /** For a client whose tunnel is running. Empty where `access` is null. */
  readonly steps: readonly ClientStep[]
}

export interface WireguardNotifierOptions {
  /** The host's own delivery, or a `webhook()`. Called at least once for each move; a throw is tried again by the engine. */
  readonly deliver: Webhook | ((update: ClientUpdate, move: Move, ctx: CallContext) => PromiseLike<unknown> | unknown)
  /**
   * The public key of the server that is left, so that a client is told which peer to remove. Absent, or null: every peer
   * that he has.
   */
  readonly publicKeyOf?: (server: Server) => string | null
  /**
   * For `config`, where the host itself keeps its users' private keys. Absent or null: a placeholder stands there, which
   * the client fills in. A key goes into the update and nowhere else.
   */
  readonly privateKeyOf?: (move: Move, ctx: CallContext) => string | null | PromiseLike<string | null>
  /** For a user who is brought back: what he has there. Absent: the update says only to which server he belongs. */
  readonly accessOf?: (move: Move, ctx: CallContext) => Json | PromiseLike<Json>
  /** Another text as `config`. Default: a file for wg-quick. */
  readonly render?: (access: WireGuardAccess, privateKey: string | null) => string
}

/**
 * Tells clients of WireGuard where they are now. A client removes the old peer and adds the new one. TRAP: changing only the
 * endpoint of a peer whose key stays the same costs some 15 s, because WireGuard sticks to its session until it times
 * out; removing and adding cost nothing. So an update never says "change".
 *
 * `deliver` throws `rejected` for an access that is none of `wireguardHandler` or of a dry run, and whatever the delivery throws.
 * @throws PintailError `invalid_options`
 */
export function wireguardNotifier(options: WireguardNotifierOptions): ClientNotifier {
  const { deliver, publicKeyOf, privateKeyOf, accessOf, render = renderConfig } = options
  const send =
    typeof deliver === 'function'
      ? deliver
      : (update: ClientUpdate, _: Move, ctx: CallContext) => deliver.send(update.id, jsonOf(update), ctx)
  if (typeof deliver !== 'function' && typeof (deliver as Webhook | null)?.send !== 'function')
    throw new PintailError('invalid_options', 'wireguardNotifier: deliver must be a function, or a webhook()')
  return {
    async deliver(move, given, ctx) {
      const found = given ?? (await accessOf?.(move, ctx)) ?? null
      const access = found === null ? null : parseAccess(found)
      if (access?.dryRun) throw new PintailError('rejected', 'the worker of this server runs dry: the user has no access there')
      if (access && access.serverId !== move.to.id)
        throw new PintailError('rejected', `the access is for server ${access.serverId}, and the user is on ${move.to.id}`)
      const privateKey = access === null ? null : await checkedKey(await privateKeyOf?.(move, ctx))
      await send(
        updateOf(move, access, { config: access && render(access, privateKey), oldKey: publicKeyOf?.(move.from) ?? null }),
        move,
        ctx,
      )
    },
  }
}

interface Told {
  readonly config: string | null
  readonly oldKey: string | null
}

function updateOf(move: Move, access: WireGuardAccess | null, { config, oldKey }: Told): ClientUpdate {
  const { key, connection, from, to, reason } = move
  return {
    // So the engine marks the news of a user who is brought back.
    type: key.endsWith('/undo') ? 'access.kept' : 'access.moved',
    id: key,
    connectionId: connection.id,
    userId: connection.userId,
    fromServerId: from.id,
    toServerId: to.id,
    reason,
    access,
    config,
    steps:
      access === null
        ? []
        : [
            { do: 'remove_peer', publicKey: oldKey },
            { do: 'add_peer', peer: access.server },
          ],
  }
}

const jsonOf = (update: ClientUpdate): JsonObject => update as unknown as JsonObject

/** A text that is no key could bring lines of its own into the file. */
function checkedKey(key: string | null | undefined): string | null {
  if (key === null || key === undefined) return null
  const problem = keyProblem(key)
  if (problem === null) return key
  throw new PintailError('rejected', `privateKeyOf has returned no key: it ${problem}`)
}
