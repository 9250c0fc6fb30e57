import { createHash } from 'node:crypto'
import type { NatsConnection } from '@nats-io/nats-core'
import type { CallContext, Clock, Listing, ServerInput, ServerRegistry } from '@pintail/core'
import { errorText, PintailError } from '@pintail/core'
import { fleetSubjects, listHead, listPage, parseFleet } from './fleet.ts'

const answerMs = 3000
/** Pages that are asked for at once. */
const atOnce = 8

/** Where a server is, as the vantage knows it. */
export interface Address {
  readonly host: string
  readonly port: number | null
}

export interface RollOptions {
  readonly nats: NatsConnection
  readonly prefix: string
  readonly vantage: string
  /** Null: the engine's side is asked. */
  readonly servers: readonly ServerInput[] | Pick<ServerRegistry, 'listServers'> | null
  readonly clock: Clock
}

/** The servers that a vantage probes, and how old its list of them is. */
export class Roll {
  readonly #options: RollOptions
  /** Pages of the newest list by their hash: only what has changed is asked for. */
  #pages = new Map<string, readonly ServerInput[]>()
  readonly #known = new Map<string, Address>()
  /** When somebody last read the books that this list comes from, by our clock; null: never. */
  #readAt: number | null = null

  constructor(options: RollOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#known.size
  }

  /** Null: there has been none yet. A fixed list never ages. */
  get ageMs(): number | null {
    return this.#readAt === null ? null : Math.max(0, this.#options.clock.now() - this.#readAt)
  }

  get isFixed(): boolean {
    return Array.isArray(this.#options.servers)
  }

  addressOf(serverId: string): Address | null {
    return this.#known.get(serverId) ?? null
  }

  /** As a registry's. @throws PintailError `unavailable` if nobody answers: then the last list is kept */
  async list(ctx: CallContext): Promise<readonly ServerInput[]> {
    const { servers, clock } = this.#options
    const begunAt = clock.now()
    let ageMs = 0
    let rows: readonly ServerInput[]
    if (servers === null) ({ rows, ageMs } = await this.#ask(ctx))
    else rows = isList(servers) ? servers : await all(servers.listServers(ctx))
    this.#known.clear()
    for (const { id, host, port } of rows) this.#known.set(String(id), { host, port: port ?? null })
    this.#readAt = begunAt - ageMs
    return rows
  }

  async #ask({ signal }: CallContext): Promise<{ readonly rows: readonly ServerInput[]; readonly ageMs: number }> {
    const head = parseFleet(listHead, await this.#request(null))
    if (!head)
      throw new PintailError('unavailable', 'the list of servers that came is not understood', {
        remedy: 'Run one version of Pintail everywhere.',
      })
    const next = new Map<string, readonly ServerInput[]>()
    const missing = head.pages.flatMap((hash, page) => {
      const known = this.#pages.get(hash)
      if (known) next.set(hash, known)
      return known ? [] : [{ hash, page }]
    })
    // What has come is kept, also when the rest does not come in time.
    this.#pages = next
    let at = 0
    const work = async (): Promise<void> => {
      for (let one = missing[at++]; one; one = missing[at++]) {
        signal.throwIfAborted()
        next.set(one.hash, await this.#page(one.page, one.hash))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    return { rows: head.pages.flatMap((hash) => next.get(hash) ?? []), ageMs: head.ageMs }
  }

  async #page(page: number, hash: string): Promise<readonly ServerInput[]> {
    const data = await this.#request(page)
    const parsed = parseFleet(listPage, data)
    if (!parsed || createHash('sha256').update(data).digest('base64url').slice(0, 16) !== hash)
      throw new PintailError('unavailable', 'the list of servers has changed while it was read')
    return parsed.servers.map(([id, host, port]) => ({ id, host, port }))
  }

  async #request(page: number | null): Promise<Uint8Array> {
    const { nats, prefix, vantage } = this.#options
    try {
      const request = JSON.stringify({ v: 1, vantage, page })
      return (await nats.request(fleetSubjects(prefix).list, request, { timeout: answerMs })).data
    } catch (error) {
      throw new PintailError('unavailable', `nobody tells which servers there are: ${errorText(error)}`, {
        cause: error,
        remedy: 'Give natsVantages the option `servers` on the side of the engine, or this vantage a list of its own.',
      })
    }
  }
}

const isList = (servers: readonly ServerInput[] | Pick<ServerRegistry, 'listServers'>): servers is readonly ServerInput[] =>
  Array.isArray(servers)

async function all(listing: Listing<ServerInput>): Promise<readonly ServerInput[]> {
  if ('then' in listing) return await listing
  const rows: ServerInput[] = []
  for await (const page of listing) for (const row of page) rows.push(row)
  return rows
}
