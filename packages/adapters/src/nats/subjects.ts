import { PintailError } from '@pintail/core'

/** Every name on the broker, made from one prefix. Ids go through `encodeToken`, so that none of them can address another subject. */
export interface Subjects {
  readonly prefix: string
  readonly streams: { readonly commands: string; readonly dead: string; readonly samples: string }
  /** `<prefix>.cmd.<region>.<serverId>` */
  command(region: string, serverId: string): string
  /** All commands of a region, or of everybody: a filter. */
  commands(region?: string): string
  /** `<prefix>.reply.<senderId>` */
  reply(senderId: string): string
  /** Whether it is somebody's reply subject, and not one to which a forger wants something sent. */
  isReply(subject: string): boolean
  /** `<prefix>.evt.<region>.<serverId>`; for what concerns the whole region its last token is `==`, which no id has. */
  event(region: string, serverId?: string | null): string
  /** All events of a region, or of everybody: a filter. */
  events(region?: string): string
  /** `<prefix>.dead.<region>` */
  dead(region: string): string
  deads(): string
  /** `<prefix>.samples.<vantage>` */
  sample(vantage: string): string
  samples(): string
  /** The region and the server that a command subject names; null: it is none. */
  addressOf(subject: string): { readonly region: string; readonly serverId: string } | null
  /** The vantage that a samples subject names; null: it is none. */
  vantageOf(subject: string): string | null
}

/**
 * @param prefix one to 32 letters, digits, `_` or `-`, several such with dots between; default `vpn`. Two fleets on one account take two.
 * @throws PintailError `invalid_options`
 */
export function natsSubjects(prefix = 'vpn'): Subjects {
  if (prefix.length > 100 || !/^[\w-]{1,32}(\.[\w-]{1,32})*$/.test(prefix))
    throw new PintailError('invalid_options', 'prefix: 1 to 32 letters, digits, _ or -, several such with dots between')
  const stream = (name: string): string => `${prefix.replaceAll('.', '_').toUpperCase()}_${name}`
  const reply = `${prefix}.reply.`
  const tokens = (subject: string, kind: string, count: number): readonly string[] | null => {
    const start = `${prefix}.${kind}.`
    if (!subject.startsWith(start)) return null
    const ids = subject.slice(start.length).split('.').map(decodeToken)
    return ids.length === count && ids.every((id) => id !== null) ? ids : null
  }
  return {
    prefix,
    streams: { commands: stream('CMD'), dead: stream('DEAD'), samples: stream('SAMPLES') },
    command: (region, serverId) => `${prefix}.cmd.${encodeToken(region)}.${encodeToken(serverId)}`,
    commands: (region) => (region === undefined ? `${prefix}.cmd.>` : `${prefix}.cmd.${encodeToken(region)}.>`),
    reply: (senderId) => `${reply}${encodeToken(senderId)}`,
    isReply: (subject) => subject.startsWith(reply) && decodeToken(subject.slice(reply.length)) !== null,
    event: (region, serverId) => `${prefix}.evt.${encodeToken(region)}.${serverId == null ? '==' : encodeToken(serverId)}`,
    events: (region) => (region === undefined ? `${prefix}.evt.>` : `${prefix}.evt.${encodeToken(region)}.>`),
    dead: (region) => `${prefix}.dead.${encodeToken(region)}`,
    deads: () => `${prefix}.dead.*`,
    sample: (vantage) => `${prefix}.samples.${encodeToken(vantage)}`,
    samples: () => `${prefix}.samples.*`,
    addressOf: (subject) => {
      const [region, serverId] = tokens(subject, 'cmd', 2) ?? []
      return region === undefined || serverId === undefined ? null : { region, serverId }
    },
    vantageOf: (subject) => tokens(subject, 'samples', 1)?.[0] ?? null,
  }
}

/** Letters, digits, `_` and `-` stay; every other byte of UTF-8 becomes `=` and two hexadecimal digits. One id has one token, and back. */
export function encodeToken(id: string): string {
  if (id === '' || id.length > 200 || !id.isWellFormed())
    throw new PintailError('invalid_argument', 'an id in a subject has 1 to 200 characters, and no half of one')
  if (/^[\w-]+$/.test(id)) return id
  return [...Buffer.from(id)].map((byte) => (isPlain(byte) ? String.fromCharCode(byte) : `=${hex(byte)}`)).join('')
}

/** Null: it is not the token that `encodeToken` makes of any id. */
export function decodeToken(token: string): string | null {
  if (/^[\w-]{1,200}$/.test(token)) return token
  if (!/^(?:[\w-]|=[0-9A-F]{2})+$/.test(token)) return null
  try {
    const id = decodeURIComponent(token.replaceAll('=', '%'))
    return encodeToken(id) === token ? id : null
  } catch {
    return null
  }
}

const isPlain = (byte: number): boolean => byte < 128 && /[\w-]/.test(String.fromCharCode(byte))
const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0')
