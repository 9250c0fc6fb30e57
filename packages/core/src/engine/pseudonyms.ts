import { createHmac } from 'node:crypto'
import { isPseudonym, type Pseudonym } from '../books/pseudonyms.ts'
import type { ConnectionId } from '../vocabulary.ts'

/** With a key the same user has the same one everywhere, and whoever has the key can find it; without one nobody can. */
export function pseudonymsBy(key: string | null): Pseudonym {
  return (id) => {
    if (isPseudonym(id)) return id
    return (key === null ? 'forgotten' : `hmac:${createHmac('sha256', key).update(id).digest('hex').slice(0, 32)}`) as ConnectionId
  }
}
