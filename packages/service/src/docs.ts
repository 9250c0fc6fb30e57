import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { prefix } from './api.ts'

/** All that the page needs comes from this service. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

interface Operation {
  security?: readonly object[]
  responses?: Record<string, object>
}

/** `/docs`, a page for people, and `/docs/json`. Before the routes that it shows. */
export async function mountDocs(app: FastifyInstance, version: string): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Pintail', version, description: 'Moves VPN users off failing servers.', license: { name: 'MIT', identifier: 'MIT' } },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'A token (JWT) or a key' },
          key: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        },
      },
    },
    // Health, metrics and these pages themselves have no tag.
    hideUntagged: true,
    transformObject: (document) => {
      const { openapiObject } = document as { openapiObject: { paths?: Record<string, Record<string, Operation>> } }
      for (const [path, methods] of Object.entries(openapiObject.paths ?? {}))
        if (path !== `${prefix}/health`) for (const operation of Object.values(methods)) guarded(operation)
      return openapiObject as never
    },
  })
  await app.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    staticCSP: policy,
    uiConfig: { deepLinking: true, persistAuthorization: false, validatorUrl: null, docExpansion: 'list' },
  })
}

/** What the gate adds to what the plugin says of its routes. */
function guarded(operation: Operation): void {
  const { responses = {} } = operation
  const [like = {}] = Object.entries(responses).flatMap(([status, response]) => (status === '403' ? [response] : []))
  const refusals = { 401: 'The credentials are missing, wrong, expired or revoked', 429: 'Too many requests' }
  operation.security = [{ bearer: [] }, { key: [] }]
  operation.responses = {
    ...responses,
    ...Object.fromEntries(
      Object.entries(refusals)
        .filter(([status]) => !(status in responses))
        .map(([status, description]) => [status, { ...like, description }]),
    ),
  }
}
