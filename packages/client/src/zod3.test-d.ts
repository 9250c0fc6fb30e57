// Checked by the compiler alone: an application on zod 3 uses the client, the plugin and the engine beside its own schemas.
import { createPintail, memoryMover, memoryRegistry } from '@pintail/core'
import pintail from '@pintail/fastify-plugin'
import Fastify from 'fastify'
import { z } from 'zod3'
import { createClient } from './index.ts'

const Settings = z.object({ url: z.string().url(), mode: z.enum(['observe', 'suggest', 'auto']), token: z.string().optional() })
const Counts = z.object({ up: z.number(), down: z.number() })

export async function host(input: unknown): Promise<z.infer<typeof Counts>> {
  const { url, mode, token } = Settings.parse(input)
  const registry = memoryRegistry({ servers: [] })
  const app = Fastify()
  await app.register(pintail, { pintail: createPintail({ registry, mover: memoryMover(registry), policy: { mode } }), authorize: 'host' })
  const { counts } = await createClient({ baseUrl: url, ...(token !== undefined && { token }) }).snapshot()
  return Counts.parse(counts)
}
