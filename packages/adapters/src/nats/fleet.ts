import { createHash } from 'node:crypto'
import { z } from 'zod'

/** Where vantages ask for the fleet's list, and where they are asked to look closely. No stream keeps either: what is old is of no use. */
export const fleetSubjects = (prefix: string): { readonly list: string; readonly look: string } => ({
  list: `${prefix}.targets.ask`,
  look: `${prefix}.targets.look`,
})

/** Bounds of the list, and of a request to look closely. */
export const fleetLimits = {
  /** Servers of a fleet. */
  servers: 2_000_000,
  /** Servers of one page on average; none has more than four times as many. */
  pageServers: 512,
  pages: 4096,
  /** Servers that are to be looked at closely at once. */
  looks: 100,
  /** How long at most, milliseconds; it is asked again as long as it is wanted. */
  lookMs: 30_000,
} as const

/** What a vantage has to know of a server, and nothing else. */
export interface FleetServer {
  readonly id: string
  readonly host: string
  readonly port: number | null
}

const text = (most: number) => z.string().min(1).max(most)
const hash = z.string().regex(/^[\w-]{16}$/)

export const listRequest = z.object({
  v: z.literal(1),
  vantage: text(100),
  page: z
    .int()
    .min(0)
    .max(fleetLimits.pages - 1)
    .nullable(),
})
/** `pages`: the hash of each, so that only those are asked for that have changed. `ageMs`: since the registry was read. */
export const listHead = z.object({ v: z.literal(1), ageMs: z.number().min(0), pages: z.array(hash).max(fleetLimits.pages) })
const server = z.tuple([text(200), text(253), z.int().min(1).max(65_535).nullable()])
export const listPage = z.object({ v: z.literal(1), page: z.int().min(0), servers: z.array(server).max(8 * fleetLimits.pageServers) })
export const lookRequest = z.object({
  v: z.literal(1),
  servers: z.array(text(200)).max(fleetLimits.looks),
  forMs: z.number().min(0).max(fleetLimits.lookMs),
})

/** @returns null: it is none. Never throws */
export function parseFleet<T>(schema: z.ZodType<T>, bytes: Uint8Array): T | null {
  if (bytes.length > 1024 * 1024) return null
  try {
    const parsed = schema.safeParse(JSON.parse(Buffer.from(bytes).toString()))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

/** One page as it is sent, and what names it: two with one hash are one. */
export interface Page {
  readonly hash: string
  readonly data: Uint8Array
}

/** Which page a server is on: always the same for as long as the fleet is about as large, so that one change is one page. */
export function pageOf(id: string, pages: number): number {
  let sum = 2_166_136_261
  for (let index = 0; index < id.length; index++) sum = Math.imul(sum ^ id.charCodeAt(index), 16_777_619)
  return (sum >>> 0) % pages
}

/** How many pages a fleet of this size has: a power of two, at least one. */
export function pagesFor(servers: number): number {
  return Math.min(fleetLimits.pages, 2 ** Math.max(0, Math.ceil(Math.log2(servers / fleetLimits.pageServers))))
}

export function pageFrom(page: number, servers: readonly FleetServer[]): Page {
  const rows = servers.map(({ id, host, port }) => [id, host, port]).sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1))
  const data = Buffer.from(JSON.stringify({ v: 1, page, servers: rows }))
  return { hash: createHash('sha256').update(data).digest('base64url').slice(0, 16), data }
}
