import { createFleet, type Fleet, type FleetOptions } from '@pintail/core/testing'
import Fastify, { type FastifyInstance, type FastifyServerOptions, type InjectOptions, type LightMyRequestResponse } from 'fastify'
import pintail, { type Authorize, type MetricsRegistry, type OnStream } from '../src/index.ts'
import { undocumented } from './document.ts'

export interface Api {
  readonly app: FastifyInstance
  readonly fleet: Fleet
  /** One request, while virtual time goes on. An answer that is not as documented throws. */
  ask(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>
  /** The same with If-Match: whatever there is. */
  act(path: string, body?: unknown): Promise<Reply>
  close(): Promise<void>
}

export interface Reply {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into it.
  readonly body: any
  readonly headers: Readonly<Record<string, string>>
}

export interface ApiOptions extends FleetOptions {
  readonly authorize?: Authorize
  readonly routePrefix?: string
  readonly metricsRegistry?: MetricsRegistry
  readonly onStream?: OnStream
  readonly server?: FastifyServerOptions
  readonly before?: (app: FastifyInstance) => Promise<unknown> | unknown
}

/** A fleet in virtual time that has been probed, and a host with the plugin over its engine. */
export async function api(options: ApiOptions = {}): Promise<Api> {
  const { authorize = 'host', routePrefix, metricsRegistry, onStream, server = {}, before, ...fleetOptions } = options
  const fleet = await createFleet(fleetOptions)
  await fleet.advance(20_000)
  const app = Fastify(server)
  await before?.(app)
  await app.register(pintail, {
    pintail: fleet.pintail,
    authorize,
    ...(routePrefix !== undefined && { routePrefix }),
    ...(metricsRegistry && { metricsRegistry }),
    ...(onStream && { onStream }),
  })
  const ask: Api['ask'] = async (method, path, payload, headers = {}) => {
    const request: InjectOptions = { method, url: `${routePrefix ?? '/pintail'}${path}`, headers }
    const asked: Promise<LightMyRequestResponse> = app.inject({ ...request, ...(payload !== undefined && { payload: payload as object }) })
    let isOver = false
    const over = asked.finally(() => {
      isOver = true
    })
    while (!isOver) await fleet.advance(10)
    const answer = await over
    const isJson = String(answer.headers['content-type']).includes('json')
    const { statusCode: status } = answer
    const body = isJson ? answer.json() : answer.body
    // Every answer that a test sees is held against the document.
    const wrong = undocumented({ method, path, status, contentType: String(answer.headers['content-type']), body })
    if (wrong !== null) throw new Error(`${method} ${path}: ${wrong}`)
    return { status, body, headers: answer.headers as Record<string, string> }
  }
  return {
    app,
    fleet,
    ask,
    act: (path, body) => ask('POST', path, body, { 'if-match': '*' }),
    async close() {
      await app.close()
      await fleet.stop()
    },
  }
}
