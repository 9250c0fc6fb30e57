import { PintailError } from '@pintail/core'
import type { PageFile } from '@pintail/dashboard/page'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/**
 * Nothing inline, nothing from elsewhere: what a hostile name would have to run, the browser refuses. `lit-html` is the one that makes
 * elements of texts.
 */
const policy = [
  "default-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
  "require-trusted-types-for 'script'",
  "trusted-types lit-html 'allow-duplicates'",
].join('; ')

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // Asked again each time, and answered with 304 as long as it is the same.
  'cache-control': 'no-cache',
} as const

/**
 * The ready-made page at `/dashboard` of the scope. All its URLs are relative, so that a proxy may put it anywhere.
 * @throws PintailError `invalid_options` if `@pintail/dashboard` is missing, or was not built
 */
export async function mountDashboard(scope: FastifyInstance): Promise<void> {
  for (const file of await files())
    scope.get(file.path === '' ? '/dashboard' : `/dashboard/${file.path}`, { ...hidden, exposeHeadRoute: true }, async (request, reply) =>
      send(request, reply, file),
    )
  // With a slash at the end the page's relative URLs would mean something else. A relative way back, for proxies that cut a prefix off.
  scope.get('/dashboard/', hidden, async (_request, reply) => reply.code(308).header('location', '../dashboard').send())
}

const hidden = { schema: { hide: true } as object }

async function files(): Promise<readonly PageFile[]> {
  try {
    const { pageFiles } = await import('@pintail/dashboard/page')
    return await pageFiles()
  } catch (cause) {
    throw new PintailError('invalid_options', 'dashboard: true needs the package @pintail/dashboard, built', {
      cause,
      remedy: 'npm install @pintail/dashboard; in a clone npm run build. Or leave the option dashboard out.',
    })
  }
}

function send(request: FastifyRequest, reply: FastifyReply, { type, etag, body }: PageFile): FastifyReply {
  reply.headers({ ...headers, etag })
  const known = request.headers['if-none-match']
  // A proxy that compresses makes a strong tag weak.
  if (known?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)) return reply.code(304).send()
  return reply.code(200).header('content-type', type).send(body)
}
