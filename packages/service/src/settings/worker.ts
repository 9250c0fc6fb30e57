import { choice, ids, number, path, toggle, word } from './kinds.ts'
import { natsSettings } from './nats.ts'
import { setting, type ValuesOf } from './setting.ts'
import { settings } from './settings.ts'
import { smallHttp } from './smallHttp.ts'

/** A region or another name that stands in a subject. */
const name = (what: string) =>
  word({ pattern: /^[\x21-\x7e]{1,100}$/, accepts: what, right: 'give up to 100 letters and digits without a space' })

/** Every setting of `pintail worker`. */
export const workerSettings = {
  natsUrl: setting(
    'PINTAIL_NATS_URL',
    natsSettings.natsUrl.kind,
    [] as readonly string[],
    'the NATS servers (JetStream) that commands come from',
  ),
  natsCreds: natsSettings.natsCreds,
  natsUser: natsSettings.natsUser,
  natsPassword: natsSettings.natsPassword,
  natsPasswordFile: natsSettings.natsPasswordFile,
  natsCa: natsSettings.natsCa,
  natsPrefix: natsSettings.natsPrefix,
  region: setting('PINTAIL_REGION', name('name of a region'), '', 'the region whose commands it carries out; needed'),
  servers: setting(
    'PINTAIL_SERVERS',
    ids('servers', 1000),
    [] as readonly string[],
    'only the commands for these servers of the region, where each has a worker of its own; none: all of the region',
  ),
  handler: setting(
    'PINTAIL_HANDLER',
    choice(['none', 'wireguard', 'command']),
    'none',
    'what gives and takes access on the server: wireguard (its peers), or command (your own programs, named in the config file); needed',
  ),
  wgDevice: setting(
    'PINTAIL_WG_DEVICE',
    choice(['uapi', 'wg']),
    'uapi',
    "how WireGuard is spoken to: uapi is the socket of a daemon such as wireguard-go, wg the kernel's tool (which needs CAP_NET_ADMIN)",
  ),
  wgInterface: setting(
    'PINTAIL_WG_INTERFACE',
    word({ pattern: /^[A-Za-z0-9_.=+-]{1,15}$/, accepts: 'name of an interface', right: 'give up to 15 letters and digits, such as wg0' }),
    'wg0',
    'the interface of WireGuard; where a worker has several servers, each is named in the config file',
  ),
  wgDryRun: setting('PINTAIL_WG_DRY_RUN', toggle(), false, 'only tells in the log what would be changed'),
  book: setting(
    'PINTAIL_BOOK',
    path('path of a file, or auto'),
    'auto',
    'the file in which it keeps what it has done, so that nothing older is done after it; auto: one for each region, in $STATE_DIRECTORY or in ~/.local/state/pintail',
  ),
  concurrency: setting(
    'PINTAIL_CONCURRENCY',
    number({ unit: 'users', min: 1, max: 1000, whole: true }),
    16,
    'how many users are given or taken access at once; never two commands for one user',
  ),
  ...smallHttp,
  logLevel: settings.logLevel,
  logFormat: settings.logFormat,
  stopTimeout: setting(
    'PINTAIL_STOP_TIMEOUT',
    number({ unit: 'seconds', min: 0, max: 600 }),
    25,
    'how long what is under way may take to finish after SIGTERM',
  ),
  config: setting('PINTAIL_CONFIG', path('path of a YAML or JSON file'), '', 'a config file with these settings, and the handler'),
} as const

export type WorkerValues = ValuesOf<typeof workerSettings>
