import { createHmac, randomBytes } from 'node:crypto'
import type { FastifyRequest } from 'fastify'

/** Keys of the wire that hold users' references: a string, or a list of them. */
const referenceKeys = new Set(['connection_id', 'connection_ids', 'only_connections', 'residue'])
/** `migration/connection/attempt`. */
const moveKey = /^([^/]+\/)(.*)(\/\d+)$/s
/** What people read may name a user that the same answer names. */
const textKeys = new Set(['message', 'error', 'why', 'error_message', 'cancelled_why', 'warnings', 'notes'])

export type Mask = (wire: unknown) => unknown

/** What a request may see, as `authorize` has said. */
export interface Permits {
  readonly mayReveal: (request: FastifyRequest) => boolean
  readonly mask: Mask
}

/**
 * Replaces users' references by pseudonyms: the same one for the same user while this process lives, so that a reader can
 * follow a user and not find him. The key is made here and kept nowhere.
 */
export function masking(key: Uint8Array = randomBytes(32)): Mask {
  const pseudonym = (reference: string): string => `user-${createHmac('sha256', key).update(reference).digest('hex').slice(0, 16)}`

  return (wire) => {
    const named = new Map<string, string>()
    const masked = (reference: unknown): unknown => {
      if (Array.isArray(reference)) return reference.map(masked)
      if (typeof reference !== 'string') return reference
      const name = pseudonym(reference)
      named.set(reference, name)
      return name
    }
    const references = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(references)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(
        Object.entries(value).map(([field, item]) => {
          if (referenceKeys.has(field)) return [field, masked(item)]
          const parts = field === 'key' && typeof item === 'string' ? moveKey.exec(item) : null
          return [field, parts ? `${parts[1]}${masked(parts[2])}${parts[3]}` : references(item)]
        }),
      )
    }
    const found = references(wire)
    return named.size === 0 ? found : inTexts(found, named)
  }
}

/** A text of more users than this is not searched for each of them: it is withheld. */
const mostNamed = 200

function inTexts(value: unknown, named: ReadonlyMap<string, string>, isText = false): unknown {
  if (typeof value === 'string') return isText ? withoutNames(value, named) : value
  if (Array.isArray(value)) return value.map((item) => inTexts(item, named, isText))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([field, item]) => [field, inTexts(item, named, textKeys.has(field))]))
}

function withoutNames(text: string, named: ReadonlyMap<string, string>): string {
  if (named.size > mostNamed) return 'not shown'
  let out = text
  for (const [reference, name] of named) {
    if (!out.includes(reference)) continue
    const literal = reference.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
    out = out.replace(new RegExp(`(?<![\\p{L}\\p{N}_])${literal}(?![\\p{L}\\p{N}_])`, 'gu'), name)
  }
  return out
}
