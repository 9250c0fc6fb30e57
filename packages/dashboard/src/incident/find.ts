import type { PintailClient } from '@pintail/client'
import { ApiError } from '@pintail/client'
import type { WireEvacuation, WireIncident } from '@pintail/core/wire'

const scanned = { limit: 200, pages: 10 }

/**
 * An incident by its id: the API lists them only, so the newest two thousand are looked through. Null: it is not among them.
 * @throws ApiError
 */
export async function findIncident(client: PintailClient, id: string, signal: AbortSignal): Promise<WireIncident | null> {
  for (let page = 0; page < scanned.pages; page++) {
    const { incidents, total } = await client.incidents.list({ limit: scanned.limit, offset: page * scanned.limit }, { signal })
    const found = incidents.find((one) => one.id === id)
    if (found || (page + 1) * scanned.limit >= total) return found ?? null
  }
  return null
}

/** An evacuation that the session has forgotten; null: it was deleted. @throws ApiError */
export async function findEvacuation(client: PintailClient, id: string, signal: AbortSignal): Promise<WireEvacuation | null> {
  try {
    return await client.evacuations.get(id, { signal })
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null
    throw error
  }
}
