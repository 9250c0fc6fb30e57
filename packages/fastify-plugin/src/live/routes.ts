import { randomInt } from 'node:crypto'
import type { Pintail } from '@pintail/core'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { z } from 'zod'
import type { OnStream } from '../options.ts'
import type { Permits } from '../privacy.ts'
import type { Endpoint } from '../routes/endpoint.ts'
import { problemOfError, RequestProblem, sendProblem } from '../routes/problem.ts'
import { lookedAt } from '../routes/standby.ts'
import { refuseInvalid } from '../routes/validation.ts'
import { Hub, type Sink } from './hub.ts'
import { SseSink } from './sse.ts'
import { type WebSocketLike, WebSocketSink } from './websocket.ts'

const query = z.strictObject({
  after: z
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({ description: 'The cursor to go on from; none: a snapshot comes first' }),
})
const live = { method: 'GET', action: 'events:read', tag: 'live', query, namesUsers: true, handle: () => ({ body: null }) } as const

/** @internal */
export const events: Endpoint = {
  ...live,
  url: '/events',
  operation: 'streamEvents',
  summary: 'Live events (text/event-stream): a snapshot and what comes after it, or what came after Last-Event-ID',
  success: { status: 200, schema: null, contentType: 'text/event-stream' },
  problems: [429, 503],
}
/** @internal */
export const webSocket: Endpoint = {
  ...live,
  url: '/ws',
  operation: 'openWebSocket',
  summary: 'The same messages over a WebSocket, one each',
  success: { status: 101, schema: null },
  problems: [404, 426, 429, 503],
}

/** `/events` and `/ws`, and what ends them when the app closes. */
export function liveRoutes(
  scope: FastifyInstance,
  engine: Pintail,
  { mask, mayReveal }: Permits,
  mountOne: (endpoint: Endpoint, own: Partial<RouteOptions>) => void,
  onStream: OnStream = () => undefined,
): void {
  const hub = new Hub(engine, mask, (text) => scope.log.warn({}, `pintail: ${text}`))
  scope.addHook('preClose', async () => hub.close())

  mountOne(events, {
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      try {
        const after = cursorOf(request)
        await admit(hub, engine, after)
        const begun: Begun = { held: undefined }
        const sink = new SseSink(!mayReveal(request), randomInt(1000, 4000), () => over(begun, hub, sink))
        void hub.add(sink, after)
        hold(begun, onStream, request, hub, sink)
        return reply
          .header('content-type', 'text/event-stream; charset=utf-8')
          .header('cache-control', 'no-store, no-transform')
          .header('x-accel-buffering', 'no')
          .send(sink.stream)
      } catch (error) {
        const { code, text } = problemOfError(error)
        return sendProblem(reply, code, text)
      }
    },
  })
  mountWebSocket(scope, hub, engine, mayReveal, mountOne, onStream)
}

/** What the host holds of a stream while it lasts; null: it is over. */
interface Begun {
  held: Disposable | undefined | null
}

function hold(begun: Begun, onStream: OnStream, request: FastifyRequest, hub: Hub, sink: Sink): void {
  const held = onStream(request, () => hub.expire(sink))
  // It may have been ended already.
  if (begun.held === null) held?.[Symbol.dispose]()
  else begun.held = held
}

function over(begun: Begun, hub: Hub, sink: Sink): void {
  hub.remove(sink)
  begun.held?.[Symbol.dispose]()
  begun.held = null
}

/** The host's @fastify/websocket takes all upgrades of its server, so that it is the host's to register, and not ours. */
function mountWebSocket(
  scope: FastifyInstance,
  hub: Hub,
  engine: Pintail,
  mayReveal: Permits['mayReveal'],
  mountOne: (endpoint: Endpoint, own: Partial<RouteOptions>) => void,
  onStream: OnStream,
): void {
  const isThere = scope.hasPlugin('@fastify/websocket')
  const handler = async (_request: FastifyRequest, reply: FastifyReply) =>
    isThere
      ? sendProblem(reply.header('upgrade', 'websocket'), 'upgrade_required', {
          detail: 'This is a WebSocket.',
          remedy: 'Open it with a WebSocket client, or read events as text/event-stream.',
        })
      : sendProblem(reply, 'websocket_missing', {
          detail: 'The host has no @fastify/websocket.',
          remedy: 'Register it before the plugin, or read events as text/event-stream.',
        })
  const wsHandler = async (socket: WebSocketLike, request: FastifyRequest): Promise<void> => {
    try {
      refuseInvalid(request)
      const after = cursorOf(request)
      // Listeners first: what comes before the hub is ready must not be lost.
      const begun: Begun = { held: undefined }
      const sink = new WebSocketSink(socket, request.raw.socket, !mayReveal(request), () => over(begun, hub, sink))
      await admit(hub, engine, after)
      if (socket.readyState !== 1) return
      const added = hub.add(sink, after)
      hold(begun, onStream, request, hub, sink)
      await added
    } catch (error) {
      const { code } = problemOfError(error)
      socket.close(code === 'invalid_request' ? 1008 : 1013, code)
    }
  }
  mountOne(webSocket, { exposeHeadRoute: false, handler, ...(isThere && ({ wsHandler } as object)) })
}

/** Where the client is; null: it has nothing yet; NaN: it has a cursor that is none. */
function cursorOf(request: FastifyRequest): number | null {
  const header = request.headers['last-event-id']
  // EventSource gives up for good on any other answer than a stream: what cannot be read begins anew.
  if (typeof header === 'string' && header !== '') return /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN
  refuseInvalid(request)
  return (request.query as z.output<typeof query>).after ?? null
}

/** @throws RequestProblem, PintailError if no stream can begin now */
async function admit(hub: Hub, engine: Pintail, after: number | null): Promise<void> {
  if (hub.isFull) throw new RequestProblem('too_many_streams', { detail: 'No more live streams are taken.', remedy: 'Try again later.' })
  await hub.ready()
  try {
    if (after === null) lookedAt(engine)
  } catch (error) {
    hub.settle()
    throw error
  }
}
