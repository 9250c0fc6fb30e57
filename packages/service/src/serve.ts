import { jsonlLog } from '@pintail/adapters/jsonl'
import { type Logger as CoreLogger, createPintail, errorText, isPintailError, type Pintail } from '@pintail/core'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { type Accounts, createAccounts } from './accounts/accounts.ts'
import { Audit } from './accounts/audit.ts'
import { prefix } from './api.ts'
import { tellDecisions } from './decisions.ts'
import { createFigures, type Figures } from './figures.ts'
import { figureText } from './figureText.ts'
import type { Fleet } from './fleet.ts'
import { createHttp } from './http.ts'
import type { Terminal } from './io.ts'
import { moveLeftovers } from './leftovers.ts'
import { listenRemedy } from './listenRemedy.ts'
import { createLogger } from './log.ts'
import { openFleet } from './openFleet.ts'
import { proberFor } from './probers.ts'
import { guardsMetrics } from './settings/access.ts'
import { isByNats } from './settings/fleet.ts'
import { paceOf, seconds } from './settings/policy.ts'
import type { Resolved } from './settings/resolve.ts'
import { settingsData, showValue } from './settings/show.ts'
import { type Ending, endings } from './signals.ts'
import { openState, type State } from './store.ts'
import { usesColor } from './terminal.ts'
import { version } from './version.ts'

/** Runs until a signal or a fault ends it. @returns the exit code */
export async function serve(resolved: Resolved, terminal: Terminal): Promise<number> {
  const { values } = resolved
  const logger = createLogger({ ...values, isTerminal: terminal.isTerminal, color: usesColor(terminal) })
  using ending = endings(logger)
  tellStart(resolved, logger)
  const opened = await opensState(resolved, terminal, logger)
  if (!opened) return 1
  await using state = opened
  const reached = await reachesFleet(resolved, terminal, logger)
  if (!reached) return 1
  await using fleet = reached
  const figures = values.http && values.prometheus ? createFigures(values.prometheusServers, () => moverFigures(fleet)) : null
  const engine = createPintail({
    registry: fleet.registry,
    mover: fleet.mover,
    ...(fleet.log && { log: fleet.log }),
    ...(fleet.observations && { observations: fleet.observations }),
    ...(fleet.notifier && { notifier: fleet.notifier }),
    logger: isByNats(values) ? logger : forOperators(logger),
    store: state.store,
    ...(state.leases && { leases: state.leases }),
    probers: [proberFor(values)],
    policy: resolved.policy,
    ...(figures && { metrics: figures.metrics }),
    vantage: { name: values.vantage },
    ...(values.pseudonymKey !== '' && { pseudonymKey: values.pseudonymKey }),
  })
  // A state that remembers is asked what was under way; one that has just begun knows of no earlier run.
  const isOurs =
    !isByNats(values) && values.resume && (state.kind === 'memory' || state.isNew) && resolved.view.policy.mode['server-down'] === 'auto'
  using _decisions = tellDecisions(engine, logger)
  using _leftovers = isOurs ? moveLeftovers({ engine, logger }) : null
  const app = values.http ? await openHttp({ engine, values, logger, figures, fleet }) : null
  try {
    // The port first: a service that cannot be looked at should not begin to act.
    if (app && !(await listens(app, resolved, logger))) return 1
    await engine.start()
    fleet.follow(engine)
    return await end(await ending.asked, { engine, app, values, logger })
  } finally {
    await engine.stop({ timeoutMs: 0 })
    await app?.close()
    figures?.close()
  }
}

/** What the mover has counted; those of VPN Duck are none. */
const moverFigures = (fleet: Fleet): string => figureText('pintail_nats', fleet.figures(), ['waiting', 'silentServers'])

interface Serving {
  readonly engine: Pintail
  readonly values: Resolved['values']
  readonly logger: Logger
  readonly figures: Figures | null
  readonly fleet: Fleet
}

/** The app as the settings want it, with its audit trail. It listens to nobody yet. */
async function openHttp({ engine, values, logger, figures, fleet }: Serving): Promise<FastifyInstance> {
  const accounts = createAccounts(values, logger)
  const sink = values.audit === 'off' ? null : jsonlLog(values.audit)
  const guardMetrics = guardsMetrics(values)
  const about = { mode: values.mode, version: version(), docs: values.docs, guardMetrics }
  const { app } = await createHttp({
    engine,
    logger,
    figures,
    accounts,
    audit: new Audit({ logger, sink }),
    trouble: fleet.trouble,
    ...about,
  })
  app.addHook('onClose', async () => sink?.close())
  tellAccess(values, accounts.mode, logger)
  if (figures && guardMetrics) logger.info({}, '/metrics asks for an account: see PINTAIL_PROMETHEUS_ACCESS')
  return app
}

/** Who may come in, in plain words: nothing is open by accident. */
function tellAccess({ apiKeys, jwtSecret, jwtJwks }: Resolved['values'], mode: Accounts['mode'], logger: Logger): void {
  if (mode === 'closed')
    logger.info(
      {},
      '/api is closed. To open it for those with an account: PINTAIL_API_KEYS (pintail key makes one), PINTAIL_JWT_SECRET or PINTAIL_JWT_JWKS',
    )
  else if (mode === 'open') logger.warn({}, '/api is open: every program on this machine may move users (PINTAIL_API=open)')
  else {
    const by = [
      apiKeys.length > 0 && `${apiKeys.length} API keys`,
      jwtSecret && 'tokens by HS256',
      jwtJwks && `tokens by the keys of ${showValue('jwtJwks', jwtJwks)}`,
    ]
    logger.info(
      { keys: apiKeys.map(({ name, role }) => `${name} (${role})`) },
      `/api is open for those with an account: ${by.filter(Boolean).join(', ')}`,
    )
  }
}

/** What a port cannot do is for whoever writes adapters: here it is part of VPN Duck, and nobody can change it. */
function forOperators(logger: Logger): CoreLogger {
  return {
    debug: (data, text) => logger.debug(data, text),
    info: (data, text) => ('capability' in data ? logger.debug(data, text) : logger.info(data, text)),
    warn: (data, text) => logger.warn(data, text),
    error: (data, text) => logger.error(data, text),
  }
}

async function reachesFleet(resolved: Resolved, { env }: Terminal, logger: Logger): Promise<Fleet | null> {
  try {
    return await openFleet(resolved, env, logger)
  } catch (error) {
    const remedy = (isPintailError(error) && error.remedy) || 'See the settings that begin with PINTAIL_NATS_.'
    logger.fatal({ err: error, remedy }, `nobody could be moved: ${errorText(error)}. ${remedy}`)
    return null
  }
}

async function opensState(resolved: Resolved, { env }: Terminal, logger: Logger): Promise<State | null> {
  try {
    return await openState(resolved, env, logger)
  } catch (error) {
    const remedy = (isPintailError(error) && error.remedy) || 'See the settings PINTAIL_STORE, PINTAIL_STORE_PATH and PINTAIL_POSTGRES_URL.'
    logger.fatal({ err: error, remedy }, `the state cannot be kept: ${errorText(error)}. ${remedy}`)
    return null
  }
}

async function listens(app: FastifyInstance, { values }: Resolved, logger: Logger): Promise<boolean> {
  const { host, port } = values
  try {
    const address = await app.listen({ host, port })
    logger.info({ address }, `health is at ${address}/health`)
    const page = `${prefix}/dashboard`
    if (app.hasRoute({ method: 'GET', url: page })) logger.info({ address }, `the dashboard is at ${address}${page}`)
    return true
  } catch (error) {
    const remedy = listenRemedy(error, port)
    logger.fatal({ err: error, remedy }, `port ${port} on ${host} cannot be opened: ${errorText(error)}. ${remedy}`)
    return false
  }
}

interface Running {
  readonly engine: Pintail
  readonly app: FastifyInstance | null
  readonly values: Resolved['values']
  readonly logger: Logger
}

async function end({ why, code }: Ending, { engine, values, logger }: Running): Promise<number> {
  const { migrations } = engine.status()
  const timeoutMs = values.stopTimeout * 1000
  const rest = migrations.length === 0 ? '' : `; moves under way get ${seconds(timeoutMs)} to finish`
  logger.info({ why, migrations: migrations.length, stopTimeoutMs: timeoutMs }, `${why}: stopping${rest}. A second signal ends it at once`)
  await engine.stop({ timeoutMs })
  logger.info({}, 'stopped')
  return code
}

// ------------------------------------------------------------------------------------------------- what it says at start

/** What it will do, to whom, and how to make it only observe: the first thing that an operator reads. */
function tellStart(resolved: Resolved, logger: Logger): void {
  const { values, policy, warnings, view } = resolved
  logger.info({ version: version(), settings: settingsData(resolved) }, `pintail ${version()} starts`)
  for (const warning of warnings) logger.warn({}, warning)
  const down = view.policy.mode['server-down']
  logger.info({ mode: view.policy.mode }, modeWords[down])
  logger.info({ detect: view.policy.detect }, `checks by ${values.prober}: ${paceOf(view.policy)}`)
  if (down === 'auto' && view.policy.placement.maxArrivals === null && view.policy.placement.defaultCapacity === null)
    logger.warn(
      { policy: policy.placement },
      'servers without a known capacity are no targets: neither PINTAIL_MAX_ARRIVALS nor PINTAIL_DEFAULT_CAPACITY is set',
    )
}

const modeWords = {
  auto:
    'mode auto: when a server is confirmed to be down, its status becomes inactive and its users are moved to other servers, without ' +
    'asking anybody; when it is back, its status becomes active again. To only watch and tell, set PINTAIL_MODE=observe',
  suggest:
    'mode suggest: when a server is confirmed to be down, the moves are planned and wait for an approval over /api ' +
    '(POST /api/evacuations/:id/approve), for which an account is needed; until then nobody is moved',
  observe:
    'mode observe: dead servers are told in this log, with what would be done; nobody is moved and no status is changed. To act, set ' +
    'PINTAIL_MODE=auto',
} as const
