import { type CallContext, type Clock, PintailError, systemClock } from '@pintail/core'
import { type AddressPool, type AllocatedAddress, exhausted } from './pool.ts'

/**
 * Who has which address, for the whole fleet: a connection keeps its address wherever it goes, so that a move changes
 * nothing in its tunnel but the server.
 */
export interface Addresses {
  /**
   * The connection's address: the one that it has, or had until lately, or else the lowest free one.
   * Errors: `unavailable`: none is free (with a remedy), or the books cannot be reached.
   */
  of(connectionId: string, ctx: CallContext): Promise<AllocatedAddress>
  /** Gives it back. It rests before somebody else gets it; the same connection gets it again. One that has none: fine. */
  release(connectionId: string, ctx: CallContext): Promise<void>
  /** How full the pool is. */
  figures(ctx: CallContext): Promise<AddressFigures>
}

export interface AddressFigures {
  readonly size: number
  readonly allocated: number
  /** Given back lately, and nobody's yet. */
  readonly resting: number
}

export interface AddressesOptions {
  readonly pool: AddressPool
  /**
   * How long an address rests after it was given back, milliseconds, 0–31 536 000 000. Default a day: a server that was dead when
   * its user left still has his peer, and whoever got the address would be refused there.
   */
  readonly restMs?: number
}

/** @throws PintailError `invalid_options` */
export function checkRest(restMs: number): number {
  if (restMs >= 0 && restMs <= 31_536_000_000) return restMs
  throw new PintailError('invalid_options', `restMs must be from 0 to 31536000000, not ${restMs}`)
}

/** @throws PintailError `invalid_argument` */
export function checkConnection(connectionId: string): string {
  if (typeof connectionId === 'string' && connectionId.length >= 1 && connectionId.length <= 200 && !/\p{Cc}/u.test(connectionId))
    return connectionId
  throw new PintailError('invalid_argument', 'a connection’s id has 1 to 200 characters, and no control characters')
}

/** Addresses in memory: for tests, and for one process that makes its users anew with each start. */
export function memoryAddresses({
  pool,
  restMs = 86_400_000,
  clock = systemClock,
}: AddressesOptions & { readonly clock?: Pick<Clock, 'now'> }): Addresses {
  checkRest(restMs)
  const slots = new Map<string, number>()
  /** When each was given back, and by whom. */
  const resting = new Map<number, { readonly connectionId: string; readonly at: number }>()
  /** From here on nobody has had one. */
  let frontier = 0
  const free = (): number | null => {
    let lowest: number | null = null
    for (const [slot, { at }] of resting) if (clock.now() - at >= restMs && (lowest === null || slot < lowest)) lowest = slot
    return lowest ?? pool.next(frontier)
  }
  return {
    async of(connectionId) {
      checkConnection(connectionId)
      const own = slots.get(connectionId)
      const slot = own ?? free()
      if (slot === null) throw exhausted(pool)
      const before = resting.get(slot)
      if (before && before.connectionId !== connectionId) slots.delete(before.connectionId)
      resting.delete(slot)
      frontier = Math.max(frontier, slot + 1)
      slots.set(connectionId, slot)
      return pool.at(slot)
    },
    async release(connectionId) {
      const slot = slots.get(connectionId)
      if (slot !== undefined && !resting.has(slot)) resting.set(slot, { connectionId, at: clock.now() })
    },
    async figures() {
      return { size: pool.size, allocated: slots.size - resting.size, resting: resting.size }
    },
  }
}
