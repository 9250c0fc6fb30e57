import { z } from 'zod'
import type { ConfigFile } from './file.ts'
import { type SettingProblem, shown } from './read.ts'

/** `wireguard` in the config file of a worker: its servers, and what their clients are told. */
export interface WireguardSection {
  readonly servers: Readonly<Record<string, WireguardServer>>
  readonly addresses?: readonly string[]
  readonly dns?: readonly string[]
  readonly allowedIps?: readonly string[]
  readonly mtu?: number
  readonly persistentKeepalive?: number | null
  readonly ownsAll?: boolean
  readonly keep?: readonly string[]
  readonly handshakeMs?: number
}

export interface WireguardServer {
  /** `host:port` at which clients reach it. */
  readonly endpoint: string
  /** What `wg show wg0 public-key` prints there. */
  readonly publicKey: string
  /** Default: those of the settings. */
  readonly interface?: string
  readonly device?: 'uapi' | 'wg'
  /** The socket of the daemon, where it is not `/var/run/wireguard/<interface>.sock`. */
  readonly socket?: string
}

/** `command` in the config file of a worker: the programs that are called, each a list of a program and its arguments. */
export interface CommandSection {
  readonly grant: readonly string[]
  readonly revoke: readonly string[]
  readonly list?: readonly string[]
  readonly check?: readonly string[]
  readonly patterns?: Readonly<Record<string, string>>
  readonly exitCodes?: Readonly<Record<string, 'ok' | 'rejected' | 'unavailable' | 'failed'>>
  readonly returns?: 'json' | 'nothing'
  readonly input?: 'json' | 'nothing'
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly timeoutMs?: number
}

export interface WorkerSections {
  readonly wireguard?: WireguardSection
  readonly command?: CommandSection
}

const text = z.string().min(1).max(1000)
const texts = z.array(text).max(200)
const argv = z.array(z.string().max(1000)).min(1).max(200)
const isPattern = (source: string): boolean => {
  try {
    return new RegExp(source) instanceof RegExp
  } catch {
    return false
  }
}

const wireguard = z
  .strictObject({
    servers: z
      .record(
        text.max(200),
        z.strictObject({
          endpoint: z.string().regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'must be host:port'),
          publicKey: z.string().regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/, 'must be what `wg show wg0 public-key` prints'),
          interface: z
            .string()
            .regex(/^[A-Za-z0-9_.=+-]{1,15}$/, 'must be the name of an interface')
            .optional(),
          device: z.enum(['uapi', 'wg']).optional(),
          socket: text.optional(),
        }),
      )
      .refine((all) => Object.keys(all).length > 0, 'must name a server'),
    addresses: texts.optional(),
    dns: texts.max(8).optional(),
    allowedIps: texts.optional(),
    mtu: z.int().min(576).max(65_535).optional(),
    persistentKeepalive: z.int().min(1).max(65_535).nullable().optional(),
    ownsAll: z.boolean().optional(),
    keep: texts.optional(),
    handshakeMs: z.int().min(1000).max(86_400_000).optional(),
  })
  .optional()

const command = z
  .strictObject({
    grant: argv,
    revoke: argv,
    list: argv.optional(),
    check: argv.optional(),
    patterns: z.record(text, z.string().max(500).refine(isPattern, 'must be a regular expression')).optional(),
    exitCodes: z
      .record(z.string().regex(/^\d{1,3}$/, 'must be an exit code'), z.enum(['ok', 'rejected', 'unavailable', 'failed']))
      .optional(),
    returns: z.enum(['json', 'nothing']).optional(),
    input: z.enum(['json', 'nothing']).optional(),
    env: z.record(text, z.string().max(10_000)).optional(),
    cwd: text.optional(),
    timeoutMs: z.int().min(1).max(600_000).optional(),
  })
  .optional()

const schema = z.object({ wireguard, command })

/** What the file says of handlers. Values are never shown: an environment may hold a password. */
export function readSections(sections: ConfigFile): { readonly sections: WorkerSections; readonly problems: readonly SettingProblem[] } {
  const { data, error } = schema.safeParse(sections)
  const problems = (error?.issues ?? []).slice(0, 50).map(
    ({ path, message, code, ...rest }): SettingProblem => ({
      name: shown(path.join('.')),
      source: 'file',
      is:
        code === 'unrecognized_keys' && 'keys' in rest
          ? `has ${rest.keys.map((key) => shown(key)).join(', ')}, which is not known`
          : 'is wrong',
      right: code === 'unrecognized_keys' ? 'take it out' : message.slice(0, 200),
    }),
  )
  return { sections: (data ?? {}) as WorkerSections, problems }
}
