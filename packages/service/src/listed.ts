import type { ServerRegistry } from '@pintail/core'
import { openBooks } from './natsFleet.ts'
import { connectVpnDuck, listedByVpnDuck } from './parts.ts'
import { withPort } from './probers.ts'
import type { ListedBy } from './registry.ts'
import { isByNats } from './settings/fleet.ts'
import type { Settings } from './settings/settings.ts'

export interface Listed extends AsyncDisposable {
  readonly registry: ServerRegistry
  readonly listedBy: ListedBy
}

/** Who is where, for those who only look. Nothing is called yet. */
export async function openListing(values: Settings): Promise<Listed> {
  if (isByNats(values)) {
    const { access, listedBy, ...books } = await openBooks(values)
    return { registry: withPort(access, values.tcpPort), listedBy, [Symbol.asyncDispose]: () => books[Symbol.asyncDispose]() }
  }
  const { duck, registry } = connectVpnDuck(values)
  return { registry, listedBy: listedByVpnDuck(values.databaseServiceUrl), [Symbol.asyncDispose]: () => duck.close() }
}
