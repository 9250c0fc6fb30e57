import { type Books, type ServerBook, verdictFor } from '../books/books.ts'
import type { FleetStatus, ServerId, ServerReport } from '../vocabulary.ts'

/** What is told of one server. */
export function reportOf(books: Books, book: ServerBook, now: number): ServerReport {
  const { server } = book
  const sample = book.samples.at(-1)
  return {
    serverId: server.id,
    name: server.name,
    host: server.host,
    region: server.region,
    status: server.status,
    verdict: verdictFor(book, null),
    audiences: [...(book.tally?.audiences ?? [])].map(([audience, verdict]) => ({
      audience,
      verdict,
      incidentId: books.incidents.of(server.id, audience)?.id ?? null,
    })),
    samples: [...(book.views?.values() ?? [])].flatMap(({ samples }) => samples.at(-1) ?? []),
    cordoned: books.isCordoned(server.id),
    load: books.loadOf(book),
    reserved: books.reserved(server.id),
    capacity: books.capacityOf(server),
    rttMs: book.rttMs,
    lastSample: sample ? { ...sample } : null,
    incidentId: books.incidents.of(server.id)?.id ?? null,
    penalty: books.penalty(server.id, now),
  }
}

/** Failure domains that are down as a whole. */
export function failingDomains({ incidents }: Books): FleetStatus['failingDomains'] {
  const domains = new Map<string, { failureDomain: string; audience: string | null; since: number; servers: ServerId[] }>()
  for (const { failureDomain = null, audience = null, openedAt, serverId } of incidents.values()) {
    if (failureDomain === null) continue
    const key = JSON.stringify([failureDomain, audience])
    const one = domains.get(key) ?? { failureDomain, audience, since: openedAt, servers: [] }
    domains.set(key, { ...one, since: Math.max(one.since, openedAt), servers: [...one.servers, serverId] })
  }
  return [...domains.values()]
}
