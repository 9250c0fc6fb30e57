// How it looks now: what engines say of themselves over HTTP, and what is really so.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import type { Cluster } from './cluster.ts'
import { parseLedger, type Reality } from './judge.ts'

interface Status {
  readonly state: string
  readonly counts: Readonly<Record<string, number>>
  readonly evacuations: readonly unknown[]
  readonly incidents: readonly { readonly status: string }[]
  readonly pending_revokes: number
  readonly servers: readonly { readonly server_id: string; readonly verdict: { readonly verdict: string } }[]
  readonly vantages: readonly { readonly name: string; readonly healthy: boolean }[]
}

export interface Engine {
  readonly name: string
  readonly address: string
  readonly status: Status
}

/** The engine that leads; null: none does now. */
export async function leader(cluster: Cluster): Promise<Engine | null> {
  for (const name of ['engine 1', 'engine 2']) {
    const piece = cluster.piece(name)
    if (!piece.isAlive) continue
    const address = String((await piece.says(/^health is at/)).address)
    const status = await statusOf(address)
    if (status?.state === 'leading') return { name, address, status }
  }
  return null
}

async function statusOf(address: string): Promise<Status | null> {
  try {
    const response = await fetch(`${address}/api/status`, { signal: AbortSignal.timeout(3000) })
    return response.ok ? ((await response.json()) as Status) : null
  } catch {
    return null
  }
}

/** Books, servers and ledger as they are. */
export async function reality(cluster: Cluster): Promise<Reality> {
  const client = new pg.Client({ connectionString: cluster.postgresUrl })
  await client.connect()
  try {
    const homes = await client.query<{ id: string; home: string }>('SELECT id, home FROM pintail.access_connections')
    const owed = await client.query<{ who: string }>(
      `SELECT connection_id || ' ' || server_id AS who FROM pintail.access_grants WHERE wanted = 'revoked'`,
    )
    const ledger = join(cluster.daemons, 'ledger')
    return {
      homes: new Map(homes.rows.map(({ id, home }) => [id, home])),
      owed: new Set(owed.rows.map(({ who }) => who)),
      grants: new Map(cluster.servers.map(({ id }) => [id, usersOn(cluster, id)])),
      dead: cluster.servers.map(({ id }) => id).filter((id) => !cluster.piece(`VPN server ${id}`).isAlive),
      ledger: existsSync(ledger) ? parseLedger(readFileSync(ledger, 'utf8')) : [],
    }
  } finally {
    await client.end()
  }
}

export function usersOn(cluster: Cluster, server: string): string[] {
  const folder = join(cluster.daemons, server)
  return existsSync(folder) ? readdirSync(folder) : []
}
