import type { Pair } from './messages.ts'

// A worker takes one pair for one effect. The engine may ask for a grant and for its taking back under one epoch, and means
// the taking back to be the newer of the two: so each of its epochs is two on the wire.

export const forGrant = ({ token, epoch }: Pair): Pair => ({ token, epoch: 2 * epoch })
export const forRevoke = ({ token, epoch }: Pair): Pair => ({ token, epoch: 2 * epoch + 1 })
/** The engine's own pair again. */
export const fromWire = ({ token, epoch }: Pair): Pair => ({ token, epoch: Math.floor(epoch / 2) })
