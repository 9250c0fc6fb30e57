import type { ConnectionInput, Json, ServerInput } from '@pintail/core'
import { errorText, parseHost } from '@pintail/core'
import { z } from 'zod'
import type { Terminal } from './io.ts'
import { openBooks } from './natsFleet.ts'
import { readConfigFile } from './settings/file.ts'
import { isByNats } from './settings/fleet.ts'
import type { Settings } from './settings/settings.ts'
import { count, Exit } from './terminal.ts'

const id = z.union([z.string().min(1).max(200), z.int()])
const optionalText = z.string().min(1).max(200).nullable().optional()
const json = z.custom<Json>((value) => value !== undefined).optional()
const meta = z.record(z.string(), z.unknown()).nullable().optional()
const names = z.array(z.string().max(100)).max(100).nullable().optional()

const isHost = (host: string): boolean => {
  try {
    return parseHost(host) !== ''
  } catch {
    return false
  }
}

const fleet = z.strictObject({
  servers: z
    .array(
      z.strictObject({
        id,
        host: z.string().refine(isHost, 'must be an address or a DNS name, without a port'),
        name: optionalText,
        status: z.enum(['online', 'offline', 'maintenance']).nullable().optional(),
        port: z.int().min(1).max(65_535).nullable().optional(),
        region: optionalText,
        country: optionalText,
        failureDomain: optionalText,
        capacity: z.int().min(0).nullable().optional(),
        protocols: names,
        features: names,
        priceEurHour: z.number().min(0).nullable().optional(),
        meta,
      }),
    )
    .max(100_000)
    .default([]),
  connections: z
    .array(
      z.strictObject({
        id,
        server: id,
        payload: json,
        userId: id.nullable().optional(),
        region: optionalText,
        mobility: z.enum(['free', 'failure-only', 'pinned']).nullable().optional(),
        tier: z.number().nullable().optional(),
        meta,
      }),
    )
    .max(1_000_000)
    .default([]),
})

/** Calls under way at once. */
const atOnce = 8

/**
 * Puts servers and connections of a file into the books. A server that is known gets the row of the file; a connection that is
 * known stays where it is, whatever the file says: it may have been moved since.
 * @returns the exit code
 */
export async function importFleet(values: Settings, file: string, terminal: Terminal): Promise<number> {
  if (!isByNats(values)) throw new Exit(1, 'pintail import: there are no books: they are those of PINTAIL_NATS_URL, in PostgreSQL.\n')
  const { servers, connections } = readFleet(file)
  await using books = await openBooks(values)
  const { access } = books
  await access.migrate()
  for (const server of servers) await access.putServer(server as ServerInput)
  let [added, known] = [0, 0]
  const rest = connections.values()
  const work = async (): Promise<void> => {
    for (const { server, payload, ...connection } of rest) {
      if ((await access.homeOf(connection.id)) !== null) known++
      else {
        await access.assign(connection as ConnectionInput, server, payload)
        added++
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  const stay = known === 0 ? '' : `; ${count(known, 'connection')} known already stay where they are`
  terminal.out(`${books.listedBy.name} have ${count(servers.length, 'server')} and ${count(added, 'new connection')} of ${file}${stay}\n`)
  return 0
}

/** Everything that is wrong with it, before anything is changed. */
export function readFleet(file: string): z.infer<typeof fleet> {
  const read = readConfigFile(file, 256 * 1_048_576)
  if (!read.ok) throw new Exit(1, `${read.faults.map(({ is, right }) => `pintail import: ${file} ${is}: ${right}`).join('\n')}\n`)
  const { data, error } = fleet.safeParse(read.data)
  if (error) {
    const lines = error.issues.slice(0, 20).map(({ path, message }) => `  ${path.join('.') || 'the file'}: ${errorText(message)}`)
    throw new Exit(1, `pintail import: ${file} is not understood; nothing was changed.\n${lines.join('\n')}\n`)
  }
  const known = new Set(data.servers.map(({ id: one }) => String(one)))
  const doubled = data.connections.length - new Set(data.connections.map(({ id: one }) => String(one))).size
  if (known.size < data.servers.length || doubled > 0)
    throw new Exit(1, `pintail import: ${file} names a server or a connection twice; nothing was changed.\n`)
  return data
}
