import type { Pintail, PintailOptions } from '@pintail/core'
import type { FastifyRequest } from 'fastify'
import type { PintailAction } from './actions.ts'

/**
 * Who may do what. A function is asked about every request under the prefix but `GET /health`, after the host's own
 * `preHandler` hooks, and allows by answering exactly `true`; a throw goes to the host's error handler. `'host'`: the
 * host's own hooks decide, and nobody is asked here. Hooks guard only routes that are registered after them.
 */
export type Authorize = 'host' | ((request: FastifyRequest, action: PintailAction) => boolean | Promise<boolean>)

export interface CommonOptions {
  /** The engine's name on the app. Default `pintail`: `app.pintail`. A second engine in one app needs another. */
  readonly decoratorName?: string
  /**
   * When the plugin calls `start()`: when the app listens, when it is ready (also for `inject()`), or never.
   * Default `listen`, so that tests with `inject()` move nobody; `manual` for a host-made engine.
   */
  readonly start?: 'listen' | 'ready' | 'manual'
  /** How long moves under way may take to settle when the app closes, milliseconds, 0–600 000. Default 10 000. */
  readonly stopTimeoutMs?: number
  /**
   * What `GET /metrics` answers with, such as the Registry of prom-client or @prometheus-io/client that the engine's
   * `metrics` go to. Default: none, and the route is 404.
   */
  readonly metricsRegistry?: MetricsRegistry
  /**
   * Told of every live stream that begins, so that one does not outlive the right that it was opened with: `end()` ends it, with
   * the reason `expired`, and may be called more than once. What is returned is disposed of when the stream is over, however it
   * ends. Must not throw. Default: a stream lasts an hour, and then `authorize` is asked again.
   */
  readonly onStream?: OnStream
  /**
   * True: the page of `@pintail/dashboard`, which must be installed, at `<routePrefix>/dashboard`. The page itself holds no data, and
   * `authorize` is not asked about it; what it shows, it asks for as everybody does. Needs `authorize`. Default false.
   */
  readonly dashboard?: boolean
}

/** @see CommonOptions.onStream */
export type OnStream = (request: FastifyRequest, end: () => void) => Disposable | undefined

/** A registry of figures, structurally. */
export interface MetricsRegistry {
  readonly contentType: string
  metrics(): string | Promise<string>
}

type RouteOptions =
  | {
      /** Where the routes are. Default `/pintail`; `false` mounts none. A second engine in one app needs another. */
      readonly routePrefix?: string
      readonly authorize: Authorize
    }
  | { readonly routePrefix: false; readonly authorize?: Authorize }

/** The plugin makes the engine, from the options of `createPintail`; `logger` is the app's unless given. */
type PluginMade = PintailOptions & { readonly pintail?: undefined }

/**
 * The host made the engine, and so its life is the host's: it is decorated, and neither started nor stopped. With an
 * explicit `start: 'listen'` or `'ready'` the plugin takes both over. Who starts an engine stops it.
 */
type HostMade = { readonly pintail: Pintail } & { readonly [K in keyof PintailOptions]?: undefined }

export type PintailPluginOptions = CommonOptions & RouteOptions & (PluginMade | HostMade)
