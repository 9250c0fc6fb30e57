import type { Pintail } from '@pintail/core'
import pintail from '@pintail/fastify-plugin'
import Fastify, { type FastifyInstance } from 'fastify'
import { file, script } from './assets.ts'
import type { Tokens } from './auth.ts'

/** The host's own policy: stricter than it must be, and Pintail's elements need no exception. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

export interface HostOptions {
  readonly engine: Pintail
  readonly tokens: Tokens
  /** Where the host has its API. */
  readonly prefix?: string
}

const page = (title: string, body: string, scripts: readonly string[]): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="/assets/icon.svg">
<link rel="stylesheet" href="/assets/theme.css">
${scripts.map((src) => `<script type="module" src="/assets/${src}"></script>`).join('\n')}
</head>
<body>
${body}
</body>
</html>`

const icon = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#7a2e8e"/></svg>'

/** A back office with pages of its own, and Pintail's elements in two of them: one without any framework, one in React. */
export async function host({ engine, tokens, prefix = '/backoffice/pintail' }: HostOptions): Promise<FastifyInstance> {
  const app = Fastify({ forceCloseConnections: true })
  app.addHook('onSend', async (_request, reply) => {
    reply.headers({ 'content-security-policy': policy, 'x-content-type-options': 'nosniff' })
  })
  app.addHook('onRequest', async (request, reply) => {
    if (!request.url.startsWith(`${prefix}/`) || tokens.accepts(request.headers.authorization)) return undefined
    return reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'sign in' })
  })
  // Whoever asks is signed in here; a real host looks at its session first.
  app.post('/session', async () => ({ token: tokens.issue() }))

  const plain = await file('plain.html')
  const assets: Readonly<Record<string, readonly [type: string, body: string]>> = {
    'plain.js': ['text/javascript', await script('plain.ts')],
    'react.js': ['text/javascript', await script('react.tsx')],
    'widget.js': ['text/javascript', await script('widget.ts', 'another')],
    'theme.css': ['text/css', await file('theme.css')],
    'icon.svg': ['image/svg+xml', icon],
  }
  app.get<{ Params: { name: string } }>('/assets/:name', async ({ params: { name } }, reply) => {
    const found = Object.hasOwn(assets, name) ? assets[name] : undefined
    return found ? reply.type(`${found[0]}; charset=utf-8`).send(found[1]) : reply.code(404).send({ error: 'no such file' })
  })
  const pages: Readonly<Record<string, string>> = {
    '/': page('Back office', plain, ['plain.js']),
    '/react': page('Back office in React', '<div id="root"></div>', ['react.js']),
    // Two widgets of different makers, each with its own copy of the elements.
    '/two-versions': page('Two versions', plain, ['plain.js', 'widget.js']),
  }
  for (const [path, body] of Object.entries(pages))
    app.get(path, async (_request, reply) => reply.type('text/html; charset=utf-8').send(body))

  await app.register(pintail, { pintail: engine, authorize: 'host', routePrefix: prefix })
  return app
}
