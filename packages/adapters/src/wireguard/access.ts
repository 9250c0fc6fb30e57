import { type Json, PintailError } from '@pintail/core'
import { z } from 'zod'
import { formatCidr, isSingle, parseCidr } from './cidr.ts'
import { keyProblem } from './keys.ts'

/** The payload of a grant: what the engine's side knows of a user. His private key is his alone, and has no place here. */
export interface WireGuardGrant {
  /** 44 characters of base64, as `wg pubkey` prints it. */
  readonly publicKey: string
  /** His addresses in the tunnel, 1–8, each a single one: `10.7.0.5/32`, `fd00::5/128`. */
  readonly allowedIps: readonly string[]
}

/** What a grant hands back for the client: all of his configuration but his private key. */
export interface WireGuardAccess {
  readonly serverId: string
  /** His own public key, so that he knows which of his key pairs this is for. */
  readonly publicKey: string
  /** His addresses in the tunnel, with prefix. */
  readonly address: readonly string[]
  readonly dns: readonly string[]
  /** Null: the client's own choice. */
  readonly mtu: number | null
  readonly server: {
    readonly publicKey: string
    /** `host:port`; an IPv6 address in brackets. */
    readonly endpoint: string
    /** What goes through the tunnel. */
    readonly allowedIps: readonly string[]
    /** Seconds; null: none. */
    readonly persistentKeepalive: number | null
  }
  /** The worker only says what it would do: nothing has been granted. */
  readonly dryRun?: true
}

const key = z.string().refine((value) => keyProblem(value) === null, 'must be a key: 44 characters of base64 of 32 bytes')
const cidr = z.string().refine((value) => parseCidr(value) !== null, 'must be an address with its prefix')
const single = z.string().refine((value) => {
  const parsed = parseCidr(value)
  return parsed !== null && isSingle(parsed)
}, 'must be one address, with /32 or /128')

// Strict: a private or preshared key that somebody sends along is refused, so that he finds out.
const grantSchema = z.strictObject({ publicKey: key, allowedIps: z.array(single).min(1).max(8) })

const endpoint = z
  .string()
  .max(300)
  .regex(/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, 'must be host:port')
const address = z
  .string()
  .max(60)
  .regex(/^[0-9A-Fa-f.:]+$/, 'must be an address')
const accessSchema = z.object({
  serverId: z.string().min(1).max(200),
  publicKey: key,
  address: z.array(single).min(1).max(8),
  dns: z.array(address).max(8),
  mtu: z.int().min(576).max(65_535).nullable(),
  server: z.object({
    publicKey: key,
    endpoint,
    allowedIps: z.array(cidr).max(1000),
    persistentKeepalive: z.int().min(1).max(65_535).nullable(),
  }),
  dryRun: z.literal(true).optional(),
})

/** @throws PintailError `rejected`, naming fields and rules, never values */
export function parseGrant(payload: Json): WireGuardGrant {
  const grant = parsed(grantSchema, payload, 'BAD_PAYLOAD: what is asked for is no peer')
  const names = grant.allowedIps.map((one) => canonical(one))
  if (new Set(names).size < names.length) throw new PintailError('rejected', 'BAD_PAYLOAD: one address is asked for twice')
  return grant
}

/** What a mover's `move` resolved with. @throws PintailError `rejected` */
export function parseAccess(access: Json): WireGuardAccess {
  const { dryRun, ...rest } = parsed(accessSchema, access, 'no access to a WireGuard server')
  return dryRun ? { ...rest, dryRun } : rest
}

/** The same text for the same network, however it was written. */
export function canonical(text: string): string {
  const cidr = parseCidr(text)
  return cidr ? formatCidr(cidr) : text
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const { success, data, error } = schema.safeParse(value)
  if (success) return data
  const problems = error.issues.slice(0, 20).map(({ path, message, code }) => ({
    path: path.join('.').slice(0, 100),
    // The names of fields that should not be there are the sender's text.
    message: code === 'unrecognized_keys' ? 'has fields that do not belong here (no private or preshared key may be sent)' : message,
  }))
  const which = problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ')
  throw new PintailError('rejected', `${what}: ${which}`.slice(0, 300), { problems })
}
