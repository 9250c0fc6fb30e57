import { connect } from 'node:net'
import { type CallContext, type Clock, isPintailError, PintailError, systemClock } from '@pintail/core'
import { within } from '../http/waiting.ts'
import {
  checkChanges,
  checkInterface,
  checkTimeout,
  type DeviceOptions,
  type PeerChanges,
  refuseTakeover,
  type WireGuardDevice,
} from './device.ts'
import { hexOf } from './keys.ts'
import { readPeers } from './uapiText.ts'

export interface UapiDeviceOptions extends DeviceOptions {
  /** The interface, whose socket is /var/run/wireguard/<interface>.sock. This or `path`. */
  readonly interface?: string
  /** The socket itself. */
  readonly path?: string
  readonly clock?: Pick<Clock, 'setTimeout'>
}

/** A dump of some 200 000 peers. */
const mostBytes = 64 << 20

/**
 * An interface of a WireGuard in user space (wireguard-go, boringtun), over its own control socket: no `wg`, no process a
 * call. Whoever may write to the socket may do this; root is not needed. Each call has a connection of its own, closed
 * when it settles.
 * @throws PintailError `invalid_options`
 */
export function uapiDevice(options: UapiDeviceOptions): WireGuardDevice {
  const { clock = systemClock } = options
  const timeoutMs = checkTimeout(options.timeoutMs ?? 10_000)
  const path = socketOf(options)
  const ask = (request: string, { signal }: CallContext): Promise<string> =>
    within(clock, timeoutMs, signal, (both) => exchange(path, request, both))
  const peers = async (ctx: CallContext) => {
    try {
      return readPeers(await ask('get=1\n\n', ctx))
    } catch (error) {
      // A reading has no effect, however it ends.
      if (ctx.signal.aborted || isPintailError(error, 'unavailable')) throw error
      const why = isPintailError(error, 'timeout') ? `no answer within ${timeoutMs} ms` : 'its answer was not understood'
      throw new PintailError('unavailable', `${path}: ${why}`, { cause: error, remedy: 'Look whether the WireGuard daemon hangs.' })
    }
  }
  return {
    name: options.interface ?? path,
    peers,
    async apply(changes, ctx) {
      checkChanges(changes)
      if (changes.set.length > 0) refuseTakeover(changes, changes.seen ?? (await peers(ctx)))
      if (changes.set.length + changes.remove.length > 0) readPeers(await ask(setRequest(changes), ctx))
    },
  }
}

function socketOf({ interface: name, path }: UapiDeviceOptions): string {
  if ((name === undefined) === (path === undefined)) throw new PintailError('invalid_options', 'uapiDevice: give either interface or path')
  // sun_path has 108 bytes with its end, and a longer one is cut off silently.
  if (path === undefined) return `/var/run/wireguard/${checkInterface(name)}.sock`
  if (typeof path === 'string' && path.startsWith('/') && Buffer.byteLength(path) <= 107 && !path.includes('\0')) return path
  throw new PintailError('invalid_options', 'uapiDevice: path must be absolute, and at most 107 bytes long')
}

function setRequest({ set, remove }: PeerChanges): string {
  const lines = ['set=1']
  for (const key of remove) lines.push(`public_key=${hexOf(key)}`, 'remove=true')
  for (const { publicKey, allowedIps, presharedKey } of set) {
    lines.push(`public_key=${hexOf(publicKey)}`)
    if (presharedKey != null) lines.push(`preshared_key=${hexOf(presharedKey)}`)
    lines.push('replace_allowed_ips=true', ...allowedIps.map((one) => `allowed_ip=${withPrefix(one)}`))
  }
  return `${lines.join('\n')}\n\n`
}

const withPrefix = (ip: string): string => (ip.includes('/') ? ip : `${ip}/${ip.includes(':') ? 128 : 32}`)

/** One question and its answer, which ends with an empty line. Nothing of either is in any error: they hold keys. */
function exchange(path: string, request: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let isConnected = false
    const chunks: string[] = []
    let [length, end] = [0, '']
    const socket = connect({ path })
    const settle = (error: Error | null): void => {
      signal.removeEventListener('abort', abort)
      socket.destroy()
      if (error) reject(error)
      else resolve(chunks.join(''))
    }
    const abort = (): void => settle(signal.reason)
    const ended = (why: string): void => settle(new PintailError('internal', `${path}: ${why}; whether anything was changed is not known`))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    socket.setEncoding('latin1')
    socket.on('connect', () => {
      isConnected = true
      socket.write(request)
    })
    socket.on('data', (chunk: string) => {
      chunks.push(chunk)
      length += chunk.length
      end = (end + chunk).slice(-2)
      if (end === '\n\n') settle(null)
      else if (length > mostBytes) ended(`an answer of more than ${mostBytes} bytes`)
    })
    socket.on('error', (error: NodeJS.ErrnoException) =>
      isConnected ? ended(`the connection broke (${error.code})`) : settle(noSocket(path, error)),
    )
    socket.on('close', () => ended('the connection was closed before the answer'))
  })
}

const remedies: Readonly<Record<string, string>> = {
  ENOENT:
    'Start the WireGuard daemon (wireguard-go wg0), or name the right interface. A kernel interface has no socket: use wgDevice for it.',
  ECONNREFUSED: 'The daemon of this socket is dead: start it again.',
  EACCES: 'Give the user of this process access to the socket and its folder, as by a group: see the README on capabilities.',
  EPERM: 'Give the user of this process access to the socket and its folder, as by a group: see the README on capabilities.',
}

function noSocket(path: string, error: NodeJS.ErrnoException): PintailError {
  const { code = 'unknown' } = error
  return new PintailError('unavailable', `no connection to ${path} (${code})`, {
    cause: error,
    remedy: remedies[code] ?? 'Look whether the WireGuard daemon runs.',
  })
}
