import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

export interface User {
  readonly name: string
  readonly role: 'user' | 'admin'
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose key came with the request; set before any handler but those of `open`. */
    user: User
  }
}

/** Who has which API key, and which paths need none. */
export interface AuthOptions {
  readonly keys: Readonly<Record<string, User>>
  readonly open: readonly string[]
}

/** `Authorization: Bearer <key>` on every route but the open ones. Call it before registering what it is to guard. */
export function authenticate(app: FastifyInstance, { keys, open }: AuthOptions): void {
  // Looked up by its hash, so that the time of the answer tells nothing of a key.
  const digest = (key: string) => createHash('sha256').update(key).digest('hex')
  const users = new Map(Object.entries(keys).map(([key, user]) => [digest(key), user]))
  app.decorateRequest('user')
  app.addHook('preHandler', async (request, reply) => {
    const { url } = request.routeOptions
    if (url !== undefined && open.includes(url)) return undefined
    const key = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
    const user = key === undefined ? undefined : users.get(digest(key))
    if (!user) return reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'an API key is needed' })
    request.user = user
    return undefined
  })
}
