import type { ApiKey } from '../accounts/keys.ts'
import { apiKeys, jwks, password, plainText, secret } from './accessKinds.ts'
import { choice, type HostAndPort, hosts, listenHost, number, orNone, path, postgresUrl, serviceUrl, toggle, word } from './kinds.ts'
import { natsSettings } from './nats.ts'
import { setting, type ValuesOf } from './setting.ts'

/**
 * Every setting of the service. The key is its name in a config file, and, with dashes, its flag.
 * The first nine are those of VPN Duck's migration service, with its names, units and defaults.
 */
export const settings = {
  databaseServiceUrl: setting('DATABASE_SERVICE_URL', serviceUrl(), 'http://database-service:5002', 'URL of the database service'),
  wireguardServiceUrl: setting(
    'WIREGUARD_SERVICE_URL',
    serviceUrl(),
    'http://wireguard-service:5001',
    'URL of the WireGuard service; called only with PINTAIL_WIREGUARD=on',
  ),
  checkInterval: setting(
    'CHECK_INTERVAL',
    number({ unit: 'seconds', min: 0.05, max: 86_400 }),
    300,
    'pause between the checks of a server',
  ),
  migrationThreshold: setting(
    'MIGRATION_THRESHOLD',
    number({ unit: 'checks', min: 1, max: 100, whole: true }),
    3,
    'failing checks in a row before users are moved',
  ),
  pingCount: setting('PING_COUNT', number({ unit: 'packets', min: 1, max: 100, whole: true }), 5, 'packets a check'),
  pingTimeout: setting('PING_TIMEOUT', number({ unit: 'seconds', min: 0.02, max: 60 }), 3, 'how long to wait for each answer'),
  packetLossThreshold: setting(
    'PACKET_LOSS_THRESHOLD',
    number({ unit: 'percent', min: 0.1, max: 100 }),
    50,
    'a check fails at this loss or more',
  ),
  latencyThreshold: setting(
    'LATENCY_THRESHOLD',
    number({ unit: 'milliseconds', min: 1, max: 60_000 }),
    300,
    'a check fails above this mean round trip',
  ),
  startupDelay: setting('STARTUP_DELAY', number({ unit: 'seconds', min: 0, max: 3600 }), 30, 'pause between the start and the first check'),

  mode: setting(
    'PINTAIL_MODE',
    choice(['auto', 'suggest', 'observe']),
    'auto',
    'what happens when a server is down: auto moves its users, suggest waits for an approval, observe only tells',
  ),
  preset: setting(
    'PINTAIL_PRESET',
    choice(['seed-budget', 'seed', 'default']),
    'seed-budget',
    'how servers are checked: seed-budget spreads the packets and confirms a failure within seconds, seed is the original pace, default is faster',
  ),
  prober: setting(
    'PINTAIL_PROBER',
    choice(['icmp', 'tcp', 'icmp+tcp']),
    'icmp',
    'how a server is tested; with icmp+tcp it has to pass both',
  ),
  tcpPort: setting(
    'PINTAIL_TCP_PORT',
    orNone(number({ unit: 'port', min: 1, max: 65_535, whole: true })),
    null,
    'the port that tcp opens; none: the port of each server in the database (for WireGuard that is a UDP port)',
  ),
  canaries: setting(
    'PINTAIL_CANARIES',
    hosts(),
    [] as readonly HostAndPort[],
    'hosts that are always reachable: while they fail, nobody is judged',
  ),
  dialect: setting('PINTAIL_DIALECT', choice(['auto', 'v1', 'v2']), 'auto', 'generation of the database service; auto asks it'),
  wireguard: setting('PINTAIL_WIREGUARD', toggle(), false, 'whether moves also create and remove peers at the WireGuard service'),
  metrics: setting(
    'PINTAIL_METRICS',
    toggle(),
    true,
    'whether latency and loss of each server that is up are written to the database every minute, as the original does (never in mode observe)',
  ),
  defaultCapacity: setting(
    'PINTAIL_DEFAULT_CAPACITY',
    orNone(number({ unit: 'users', min: 0, max: 10_000_000, whole: true })),
    null,
    'how many users fit on a server whose capacity the database does not name',
  ),
  maxArrivals: setting(
    'PINTAIL_MAX_ARRIVALS',
    orNone(number({ unit: 'users', min: 1, max: 10_000_000, whole: true })),
    1000,
    'most users that one evacuation brings to one server',
  ),
  advice: setting(
    'PINTAIL_ADVICE',
    choice(['off', 'suggest', 'auto']),
    'off',
    'advice of its own accord: suggest proposes to relieve a server that stays too hot, or to give back one that can be spared; auto begins it (giving back only within advice.windows of the config file). None is made while the database service lists active users only, and a warning says so',
  ),
  adviceInterval: setting(
    'PINTAIL_ADVICE_INTERVAL',
    number({ unit: 'seconds', min: 1, max: 86_400 }),
    300,
    'pause between two rounds of advice; a server is relieved after three in a row',
  ),
  resume: setting(
    'PINTAIL_RESUME',
    toggle(),
    true,
    'whether users are also moved off servers that were inactive already at the start and are confirmed dead, where no state is kept yet: the last run may have been ended in the middle',
  ),
  store: setting(
    'PINTAIL_STORE',
    choice(['sqlite', 'postgres', 'memory'], ['nats', 'redis']),
    'sqlite',
    'where the state is kept: in a sqlite file or in postgres evacuations go on after a restart, and a second service over the same state stands by; in memory it ends with the process',
  ),
  storePath: setting(
    'PINTAIL_STORE_PATH',
    path('path of a file, or auto'),
    'auto',
    'the file of PINTAIL_STORE=sqlite; auto: one for each database service, in $STATE_DIRECTORY or in ~/.local/state/pintail',
  ),
  postgresUrl: setting(
    'PINTAIL_POSTGRES_URL',
    postgresUrl(),
    '',
    'the database of PINTAIL_STORE=postgres, with user and password; it is shown nowhere',
  ),
  postgresSchema: setting(
    'PINTAIL_POSTGRES_SCHEMA',
    word({ pattern: /^[a-z_][a-z0-9_]{0,39}$/, accepts: 'name of a schema', right: 'give up to 40 small letters, digits and underscores' }),
    'pintail',
    'the schema of its tables: one for each database service',
  ),
  migrate: setting(
    'PINTAIL_MIGRATE',
    toggle(),
    true,
    'whether the tables of PINTAIL_STORE=postgres are made or brought up to date at the start; off: they are only looked at, and pintail migrate makes them',
  ),
  environment: setting(
    'PINTAIL_ENVIRONMENT',
    word({ pattern: /^[\x21-\x7e]{1,100}$/, accepts: 'a name', right: 'give up to 100 letters and digits without a space' }),
    'default',
    'whose state it is: a file or tables of another environment are refused',
  ),
  ...natsSettings,
  natsReplicas: setting(
    'PINTAIL_NATS_REPLICAS',
    number({ unit: 'servers', min: 1, max: 5, whole: true }),
    1,
    'on how many servers of the broker each command is kept; 3 or 5 for a cluster, and then one or two of them may be away',
  ),
  syncInterval: setting(
    'PINTAIL_SYNC_INTERVAL',
    number({ unit: 'seconds', min: 1, max: 86_400 }),
    300,
    'pause between two comparisons of what the workers of the regions have with what they should have; only with PINTAIL_NATS_URL',
  ),
  webhookUrl: setting(
    'PINTAIL_WEBHOOK_URL',
    serviceUrl(),
    '',
    "where users' new WireGuard configuration is sent (Standard Webhooks), as clients must be told where they are now; https, or http on this machine; only with PINTAIL_NATS_URL",
  ),
  webhookSecret: setting('PINTAIL_WEBHOOK_SECRET', password(), '', 'the secret that signs it, whsec_…; it is shown nowhere'),
  vantage: setting(
    'PINTAIL_VANTAGE',
    word({ pattern: /^[\x21-\x7e]{1,80}$/, accepts: 'a name', right: 'give up to 80 letters and digits without a space' }),
    'local',
    'where this service probes from: services over one database that have one name are one voice, those in other places need other names',
  ),
  ledger: setting(
    'PINTAIL_LEDGER',
    path('path of a file, auto or off'),
    'auto',
    'a file that keeps for a day whom the service has moved, so that one that was killed moves nobody twice (VPN Duck v2 tells nobody where a user lives); auto: in $STATE_DIRECTORY, or in ~/.local/state/pintail',
  ),
  pseudonymKey: setting(
    'PINTAIL_PSEUDONYM_KEY',
    secret(16, 1000),
    '',
    'a secret by which users in old records become pseudonyms, the same one for the same user; none: they are only called forgotten',
  ),
  host: setting('PINTAIL_HOST', listenHost(), '127.0.0.1', 'address that /health and /api answer on'),
  port: setting(
    'PINTAIL_PORT',
    number({ unit: 'port', min: 0, max: 65_535, whole: true }),
    5010,
    'port that /health and /api answer on; 0 takes a free one',
  ),
  http: setting('PINTAIL_HTTP', toggle(), true, 'whether /health, /api and /metrics are served at all'),
  prometheus: setting('PINTAIL_PROMETHEUS', toggle(), true, 'whether /metrics is served, for Prometheus'),
  prometheusServers: setting(
    'PINTAIL_PROMETHEUS_SERVERS',
    number({ unit: 'servers', min: 0, max: 10_000, whole: true }),
    0,
    'how many servers at most have figures of their own at /metrics',
  ),
  prometheusAccess: setting(
    'PINTAIL_PROMETHEUS_ACCESS',
    choice(['auto', 'open', 'account']),
    'auto',
    'who may read /metrics: anybody (open), or an account with the role viewer; auto: anybody where PINTAIL_HOST is this machine alone or there are no accounts',
  ),
  api: setting(
    'PINTAIL_API',
    choice(['auto', 'open', 'off']),
    'auto',
    'who may use /api: auto: those who have an account, and without any configured it is closed; open: whoever is on this machine may do everything (only where PINTAIL_HOST is loopback); off: nobody',
  ),
  apiKeys: setting(
    'PINTAIL_API_KEYS',
    apiKeys(),
    [] as readonly ApiKey[],
    'accounts of programs, by the hash of their key; pintail key makes a key and its line',
  ),
  jwtSecret: setting('PINTAIL_JWT_SECRET', secret(32, 1000), '', 'takes tokens (JWT) that are signed by HS256 with this secret'),
  jwtJwks: setting('PINTAIL_JWT_JWKS', jwks(), '', 'takes tokens (JWT) of an identity provider: its public keys (RSA, EC, Ed25519)'),
  jwtIssuer: setting(
    'PINTAIL_JWT_ISSUER',
    plainText('the iss of its tokens'),
    '',
    'the only issuer whose tokens are taken; needed with PINTAIL_JWT_JWKS',
  ),
  jwtAudience: setting(
    'PINTAIL_JWT_AUDIENCE',
    word({ pattern: /^\S{1,500}$/, accepts: 'a name or URL', right: 'give a text without a space' }),
    'pintail',
    'tokens that are for somebody else (aud) are refused',
  ),
  jwtRoleClaim: setting(
    'PINTAIL_JWT_ROLE_CLAIM',
    word({
      pattern: /^\S{1,200}$/,
      accepts: 'a claim, or a dotted path to one',
      right: 'give a text without a space, such as realm_access.roles',
    }),
    'role',
    'where a token has its role: viewer, operator or admin, or a list with one of them',
  ),
  jwtClockTolerance: setting(
    'PINTAIL_JWT_CLOCK_TOLERANCE',
    number({ unit: 'seconds', min: 0, max: 300 }),
    5,
    'how far the clock of who signs tokens may be away from this one',
  ),
  revocations: setting(
    'PINTAIL_REVOCATIONS',
    path('path of a YAML or JSON file'),
    '',
    'who is not believed any more: tokens (jti), keys (names) and subjects (tokens issued before a moment); read again when it changes, and while it cannot be read nobody is let in',
  ),
  audit: setting(
    'PINTAIL_AUDIT',
    path('path of a file, or off'),
    'off',
    'a file that gets a line of JSON for each change that was asked for over /api and each refused attempt; the log has them too',
  ),
  docs: setting('PINTAIL_DOCS', toggle(), true, 'whether /docs shows the API to anybody, where it is not closed'),
  logLevel: setting(
    'PINTAIL_LOG_LEVEL',
    choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'info',
    'the least level that is logged: trace, debug, info, warn, error, fatal or silent',
  ),
  logFormat: setting('PINTAIL_LOG_FORMAT', choice(['auto', 'json', 'pretty']), 'auto', 'form of the log; auto is pretty on a terminal'),
  stopTimeout: setting(
    'PINTAIL_STOP_TIMEOUT',
    number({ unit: 'seconds', min: 0, max: 600 }),
    25,
    'how long moves under way may take to finish after SIGTERM',
  ),
  config: setting('PINTAIL_CONFIG', path('path of a YAML or JSON file'), '', 'a config file with these settings and the policy'),
} as const

export type SettingName = keyof typeof settings
export type Settings = ValuesOf<typeof settings>

export const settingNames = Object.keys(settings) as SettingName[]
