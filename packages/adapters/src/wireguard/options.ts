import { type Clock, PintailError, type ProbeTarget, type Problem } from '@pintail/core'
import { isPort } from './address.ts'
import { type Identity, identityOf } from './handshake.ts'
import { keyProblem } from './keys.ts'
import { importPrivate } from './primitives.ts'

/** Keys are 32 bytes in base64, 44 characters, as `wg genkey`, `wg pubkey` and `wg genpsk` print them. */
export interface WireguardProberOptions {
  /**
   * The probe's own private key. Its public key must be a peer on every server, with `allowed-ips` empty. Machines that
   * probe the same server need one each: WireGuard drops what is not later than the last initiation of the same key.
   */
  readonly privateKey: string
  /** The servers' public keys, by server id. This or `publicKeyOf`. */
  readonly publicKeys?: Readonly<Record<string, string>>
  /**
   * Asked before each check; null or undefined: not known, and the check throws `invalid_argument`. A key that is not
   * one is `invalid_options`.
   */
  readonly publicKeyOf?: (target: ProbeTarget) => string | null | undefined | PromiseLike<string | null | undefined>
  /** Where the probe's peer has one on the servers; a function where it is not the same on all. Default: none. */
  readonly presharedKey?: string | ((target: ProbeTarget) => string | null | undefined)
  /** 1–65 535; for targets without a port of their own. No default: a wrong port is as silent as a dead server. */
  readonly port?: number
  /** The time of day, for the timestamps that WireGuard asks for. Default: the system's. */
  readonly clock?: Pick<Clock, 'now'>
}

export interface Settings {
  readonly identity: Identity
  readonly publicKeyOf: NonNullable<WireguardProberOptions['publicKeyOf']>
  readonly presharedKeyOf: (target: ProbeTarget) => string | null | undefined
  readonly port: number | undefined
  readonly clock: Pick<Clock, 'now'>
}

/** @throws PintailError `invalid_options` naming every problem, without any key */
export function parseOptions(options: WireguardProberOptions): Settings {
  const { privateKey, publicKeys, publicKeyOf, presharedKey, port, clock = { now: () => Date.now() } } = options
  const problems: Problem[] = []
  const check = (path: string, value: unknown, remedy: string): void => {
    const message = keyProblem(value)
    if (message !== null) problems.push({ path, message, remedy })
  }
  check('privateKey', privateKey, 'Make a key pair for the probe with `wg genkey`, and give that.')
  const listed = publicKeys !== undefined
  if (listed === (publicKeyOf !== undefined))
    problems.push({ path: 'publicKeys', message: 'give either this or publicKeyOf', remedy: 'Without a server’s key it cannot be probed.' })
  if (listed && (typeof publicKeys !== 'object' || publicKeys === null))
    problems.push({ path: 'publicKeys', message: 'must be an object of keys by server id', remedy: publicRemedy })
  else for (const [id, key] of Object.entries(publicKeys ?? {})) check(`publicKeys.${id.slice(0, 80)}`, key, publicRemedy)
  if (publicKeyOf !== undefined && typeof publicKeyOf !== 'function')
    problems.push({ path: 'publicKeyOf', message: 'must be a function', remedy: 'Or give the keys by server id as publicKeys.' })
  if (presharedKey !== undefined && typeof presharedKey !== 'function') check('presharedKey', presharedKey, presharedRemedy)
  if (port !== undefined && !isPort(port))
    problems.push({ path: 'port', message: 'must be a whole number from 1 to 65535', remedy: 'Give the ListenPort of the servers.' })
  if (problems.length > 0) throw refused(problems)
  const own = new Map(Object.entries(publicKeys ?? {}))
  return {
    identity: identityOf(importPrivate(Buffer.from(privateKey, 'base64'))),
    publicKeyOf: publicKeyOf ?? (({ serverId }) => own.get(serverId)),
    presharedKeyOf: typeof presharedKey === 'function' ? presharedKey : () => presharedKey,
    port,
    clock,
  }
}

const publicRemedy = 'Give what `wg show wg0 public-key` prints on that server.'
const presharedRemedy = 'Give what `wg show wg0 preshared-keys` prints for the probe’s peer, or leave it out.'

/** The 32 bytes of a key that came while probing. @throws PintailError `invalid_options`, without the key */
export function parseKey(what: 'public' | 'preshared', serverId: string, key: unknown): Buffer {
  const message = keyProblem(key)
  if (message === null) return Buffer.from(key as string, 'base64')
  throw refused([{ path: `${what} key of server ${serverId}`, message, remedy: what === 'public' ? publicRemedy : presharedRemedy }])
}

/** A key with which no handshake can succeed. */
export const uselessKey = (serverId: string, message: string): PintailError =>
  refused([{ path: `public key of server ${serverId}`, message, remedy: publicRemedy }])

function refused(problems: readonly Problem[]): PintailError {
  const lines = problems.map(({ path, message, remedy }) => `  ${path}: ${message} ${remedy}`)
  const title = `${problems.length} problem${problems.length === 1 ? '' : 's'} in the options of wireguardProber:`
  return new PintailError('invalid_options', `${title}\n${lines.join('\n')}`, {
    problems,
    remedy: 'Mend each of the listed values; `problems` names them all.',
  })
}
