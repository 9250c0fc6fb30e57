import { randomUUID } from 'node:crypto'
import type { NatsConnection } from '@nats-io/nats-core'
import { type Logger, PintailError } from '@pintail/core'
import { regionMover } from '../regions/mover.ts'
import type { RegionMover, RegionMoverOptions } from '../regions/moverOptions.ts'
import { natsTransport } from './transport.ts'

export interface NatsMoverOptions extends RegionMoverOptions {
  /** The host's connection; the mover never closes it. Give it `maxReconnectAttempts: -1`, and the `inboxPrefix` of `natsPermissions`. */
  readonly nats: NatsConnection
  /** See `natsSubjects`. Default `vpn`. */
  readonly prefix?: string
  /** Where answers go, 1–200 characters: no two processes may have the same. Default: a random one. */
  readonly sender?: string
  /** How long the broker may take to say that it keeps a command, milliseconds, 100–60 000. Default 5 000. */
  readonly publishTimeoutMs?: number
}

/** See `RegionMover`. */
export type NatsMover = RegionMover

const silence: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/**
 * Moves connections through the workers of their regions: what is to be is kept in the host's books, commands go through a
 * stream of NATS, and a move resolves when its worker has said that the access is in force. Begins to listen, and to sync
 * while this engine leads, at once; `close()` ends both.
 *
 * Without an answer a call ends with `timeout`, and the books say what has to be asked again; with a full stream, or no
 * broker, it ends with `unavailable`, and nothing happened.
 * @throws PintailError `invalid_options`
 */
export function natsMover(options: NatsMoverOptions): NatsMover {
  const { nats, prefix, sender = randomUUID(), publishTimeoutMs = 5000, logger = silence } = options
  if (typeof nats?.publish !== 'function') throw new PintailError('invalid_options', 'nats: must be a connection of @nats-io/nats-core')
  if (!Number.isSafeInteger(publishTimeoutMs) || publishTimeoutMs < 100 || publishTimeoutMs > 60_000)
    throw new PintailError('invalid_options', `publishTimeoutMs: must be a whole number from 100 to 60000, not ${publishTimeoutMs}`)
  const transport = natsTransport({ nats, sender, publishTimeoutMs, logger, ...(prefix !== undefined && { prefix }) })
  let mover: RegionMover
  try {
    mover = regionMover(transport, options)
  } catch (error) {
    void transport.close()
    throw error
  }
  const close = async (): Promise<void> => {
    await mover.close()
    await transport.close()
  }
  return { ...mover, close }
}
