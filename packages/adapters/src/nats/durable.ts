import { createHash } from 'node:crypto'
import { encodeToken } from './subjects.ts'

/** What a name of a consumer may have at most. */
const longest = 240

/** The name of the consumer of a region, or of one server in it. No two have the same: `==` is in no token. */
export function durableOf(region: string, serverId: string | null): string {
  const name = `worker-${encodeToken(region)}${serverId === null ? '' : `==${encodeToken(serverId)}`}`
  return name.length <= longest ? name : `worker===${createHash('sha256').update(name).digest('hex')}`
}
