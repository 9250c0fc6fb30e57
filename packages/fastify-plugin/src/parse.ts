import { createPintail, isPintailError, type Logger, type Pintail, PintailError, type PintailOptions, type Problem } from '@pintail/core'
import type { RegisterOptions } from 'fastify'
import type { Authorize, CommonOptions, MetricsRegistry, OnStream, PintailPluginOptions } from './options.ts'

/** The options, after parsing: nothing is missing but what may be. */
export interface Parsed {
  readonly engine: Pintail
  readonly logger: Logger
  readonly decoratorName: string
  readonly start: 'listen' | 'ready' | 'manual'
  /** Whether the plugin stops the engine on close. */
  readonly stops: boolean
  readonly stopTimeoutMs: number
  readonly routePrefix: string | false
  readonly authorize: Authorize | undefined
  readonly metricsRegistry: MetricsRegistry | undefined
  readonly onStream: OnStream | undefined
  readonly dashboard: boolean
  /** Fastify's own option, which has no effect on a plugin of this kind. */
  readonly prefix: string | undefined
}

type Own = {
  readonly [K in keyof (CommonOptions & { routePrefix: unknown; authorize: unknown; pintail: unknown })]?: unknown
}

const starts = ['listen', 'ready', 'manual'] as const

/**
 * Checks everything and makes the engine; nothing runs yet.
 * @throws PintailError `invalid_options` naming every problem, the engine's and the plugin's
 */
export function parseOptions(options: PintailPluginOptions, appLogger: Logger): Parsed {
  const { decoratorName, start, stopTimeoutMs, routePrefix, authorize, metricsRegistry, onStream, dashboard, pintail, ...others } = options
  // Fastify hands its own options of register() through.
  const { prefix, logLevel: _, logSerializers: __, ...rest } = others as typeof others & RegisterOptions
  const problems = [...ownProblems(options), ...(pintail === undefined ? [] : hostMadeProblems(pintail, rest))]
  const logger = rest.logger ?? appLogger
  const engine = pintail === undefined ? make({ ...rest, logger } as PintailOptions, problems) : pintail
  if (problems.length > 0 || !engine) throw refusal(problems)
  const when = start ?? (pintail ? 'manual' : 'listen')
  return {
    engine,
    logger,
    decoratorName: decoratorName ?? 'pintail',
    start: when,
    stops: !pintail || when !== 'manual',
    stopTimeoutMs: stopTimeoutMs ?? 10_000,
    routePrefix: routePrefix ?? '/pintail',
    authorize,
    metricsRegistry,
    onStream,
    dashboard: dashboard ?? false,
    prefix,
  }
}

function make(options: PintailOptions, problems: Problem[]): Pintail | null {
  try {
    return createPintail(options)
  } catch (error) {
    if (!isPintailError(error, 'invalid_options') || problems.length === 0) throw error
    problems.push(...error.problems)
    return null
  }
}

function ownProblems({
  decoratorName,
  start,
  stopTimeoutMs,
  routePrefix,
  authorize,
  metricsRegistry,
  onStream,
  dashboard,
}: Own): Problem[] {
  const problems: Problem[] = []
  const check = (ok: boolean, path: string, value: unknown, message: string, remedy: string): void => {
    if (value !== undefined && !ok) problems.push({ path, message, value: String(value).slice(0, 80), remedy })
  }
  check(typeof decoratorName === 'string' && decoratorName !== '', 'decoratorName', decoratorName, 'must be a name', 'Default: pintail.')
  check(
    starts.some((word) => word === start),
    'start',
    start,
    'is not known',
    `Give one of: ${starts.join(', ')}.`,
  )
  const bounded = typeof stopTimeoutMs === 'number' && stopTimeoutMs >= 0 && stopTimeoutMs <= 600_000
  check(bounded, 'stopTimeoutMs', stopTimeoutMs, 'must be milliseconds from 0 to 600000', 'Default: 10000.')
  // Not the root: the routes under the prefix would shadow the host's own 404s.
  const mountable = routePrefix === false || (typeof routePrefix === 'string' && /^(?:\/[\w.~-]+)+$/.test(routePrefix))
  check(mountable, 'routePrefix', routePrefix, 'must be false or a path such as /pintail', 'Begin it with / and end it without.')
  const answers = authorize === 'host' || typeof authorize === 'function'
  check(answers, 'authorize', authorize, "must be 'host' or a function", 'Give (request, action) => boolean.')
  check(typeof onStream === 'function', 'onStream', onStream, 'must be a function', 'Give (request, end) => Disposable.')
  const hasRoutes = routePrefix !== false || dashboard !== true
  check(
    typeof dashboard === 'boolean' && hasRoutes,
    'dashboard',
    dashboard,
    'must be true or false, and true only with routes',
    'Default: false.',
  )
  const { contentType, metrics } = (metricsRegistry ?? {}) as { contentType?: unknown; metrics?: unknown }
  const reads = typeof contentType === 'string' && typeof metrics === 'function'
  if (metricsRegistry !== undefined)
    check(reads, 'metricsRegistry', typeof metricsRegistry, 'must have contentType and metrics()', 'Give a Registry of prom-client.')
  return problems
}

function hostMadeProblems(pintail: unknown, rest: object): Problem[] {
  const parts = ['start', 'stop', 'status', 'health'].filter(
    (name) => typeof (pintail as Record<string, unknown> | null)?.[name] !== 'function',
  )
  return [
    ...parts.map((name) => ({ path: `pintail.${name}`, message: 'must be a function', remedy: 'Give what createPintail answered.' })),
    ...Object.entries(rest)
      .filter(([, value]) => value !== undefined)
      .map(([path]) => ({ path, message: 'goes to createPintail', remedy: 'Leave it out beside pintail, or leave pintail out.' })),
  ]
}

function refusal(problems: readonly Problem[]): PintailError {
  const lines = problems.map(
    ({ path, message, value, remedy }) =>
      `  ${path}: ${message}${value === undefined ? '' : ` (was ${value})`}${remedy ? ` ${remedy}` : ''}`,
  )
  const count = `${problems.length} problem${problems.length === 1 ? '' : 's'}`
  return new PintailError('invalid_options', `${count} in the options of @pintail/fastify-plugin:\n${lines.join('\n')}`, {
    problems,
    remedy: 'Mend each of the listed values; the message names them all.',
  })
}
