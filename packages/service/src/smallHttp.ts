import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorText } from '@pintail/core'
import type { Logger } from 'pino'
import { listenRemedy } from './listenRemedy.ts'

export interface SmallHealth {
  readonly ready: boolean
  readonly [field: string]: unknown
}

interface SmallHttpOptions {
  readonly host: string
  /** 0 takes a free one; null: nobody listens. */
  readonly port: number | null
  readonly logger: Logger
  readonly health: () => SmallHealth
  /** `/metrics`, in Prometheus' text. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>
}

/**
 * `/health` (200 or 503), `/health/ready`, `/health/live` and `/metrics`, for anybody who reaches the port: they name no user.
 * Null: the port could not be opened, and the log says why.
 */
export async function openSmallHttp(options: SmallHttpOptions): Promise<AsyncDisposable | null> {
  const { host, port, logger } = options
  if (port === null) return { [Symbol.asyncDispose]: async () => {} }
  const server = serverOf(options)
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  } catch (error) {
    const remedy = listenRemedy(error, port)
    logger.fatal({ err: error, remedy }, `port ${port} on ${host} cannot be opened: ${errorText(error)}. ${remedy}`)
    return null
  }
  const { address, port: opened, family } = server.address() as AddressInfo
  const at = `http://${family === 'IPv6' ? `[${address}]` : address}:${opened}`
  logger.info({ address: at }, `health is at ${at}/health`)
  return {
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function serverOf({ health, metrics, logger }: SmallHttpOptions): Server {
  const server = createServer((request, response) => {
    const send = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(request.method === 'HEAD' ? '' : body)
    }
    const json = (status: number, body: object): void => send(status, 'application/json', JSON.stringify(body))
    const path = (request.url ?? '').split('?')[0]
    if (request.method !== 'GET' && request.method !== 'HEAD') json(405, { code: 'method_not_allowed' })
    else if (path === '/health' || path === '/health/ready') {
      const answer = health()
      json(answer.ready ? 200 : 503, answer)
    } else if (path === '/health/live') json(200, { live: true })
    else if (path === '/metrics')
      metrics().then(
        ({ contentType, body }) => send(200, contentType, body),
        (error: unknown) => {
          logger.error({ err: error }, `/metrics failed: ${errorText(error)}`)
          json(500, { code: 'internal' })
        },
      )
    else json(404, { code: 'not_found' })
  })
  server.requestTimeout = 10_000
  server.headersTimeout = 10_000
  server.maxConnections = 100
  return server
}
