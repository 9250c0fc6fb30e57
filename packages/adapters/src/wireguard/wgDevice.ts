import { randomUUID } from 'node:crypto'
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CallContext, type Clock, PintailError, systemClock } from '@pintail/core'
import { excerpt } from '../http/secrets.ts'
import { run } from '../process/run.ts'
import {
  checkChanges,
  checkInterface,
  checkTimeout,
  type DeviceOptions,
  type PeerChanges,
  type PeerSetting,
  refuseTakeover,
  type WireGuardDevice,
  type WireGuardPeer,
} from './device.ts'
import { keyProblem } from './keys.ts'

export interface WgDeviceOptions extends DeviceOptions {
  readonly interface: string
  /** The program, or an absolute path to it. Default `wg`, found by PATH. */
  readonly command?: string
  readonly clock?: Pick<Clock, 'setTimeout'>
}

const mostBytes = 64 << 20
/** So many changes a call of `wg`: a command line of some 30 KB. */
const atOnce = 200

/**
 * Any interface that `wg` knows, one in the kernel too, over the program `wg` of wireguard-tools: an argument list, never a
 * shell, with none of this process's environment but PATH. A preshared key goes over standard input. For an interface in
 * the kernel the process needs CAP_NET_ADMIN, not root.
 * @throws PintailError `invalid_options`
 */
export function wgDevice({
  interface: given,
  command = 'wg',
  timeoutMs: within_ = 10_000,
  clock = systemClock,
}: WgDeviceOptions): WireGuardDevice {
  const name = checkInterface(given)
  const timeoutMs = checkTimeout(within_)
  if (typeof command !== 'string' || !/^(\/[^\0]+|[A-Za-z0-9._][A-Za-z0-9._-]*)$/.test(command))
    throw new PintailError('invalid_options', 'wgDevice: command must be the name of a program, or an absolute path')
  const wg = async (args: readonly string[], secret: string | null, { signal }: CallContext): Promise<string> => {
    const fd = secret === null ? null : openSecret(secret)
    try {
      const env = { PATH: process.env.PATH ?? '', LC_ALL: 'C' }
      const { code, stdout, stderr } = await run(
        { program: command, args, input: fd ?? '', env, timeoutMs, maxOutputBytes: mostBytes },
        clock,
        signal,
      )
      if (code === 0) return stdout
      throw failure(code, stderr)
    } finally {
      if (fd !== null) closeSync(fd)
    }
  }
  const peers = async (ctx: CallContext) => {
    const output = await wg(['show', name, 'dump'], null, ctx).catch((error) => {
      throw ctx.signal.aborted ? error : withoutEffect(error)
    })
    return readDump(output)
  }
  return {
    name,
    peers,
    async apply(changes, ctx) {
      checkChanges(changes)
      if (changes.set.length > 0) refuseTakeover(changes, changes.seen ?? (await peers(ctx)))
      let hasBegun = false
      for (const { args, secret } of calls(changes)) {
        await wg(['set', name, ...args], secret, ctx).catch((error) => {
          throw hasBegun ? withEffect(error) : error
        })
        hasBegun = true
      }
    },
  }
}

interface WgCall {
  readonly args: readonly string[]
  readonly secret: string | null
}

/** Removals first, so that their addresses are free. A peer with a preshared key takes a call of its own, for its standard input. */
function calls({ set, remove }: PeerChanges): WgCall[] {
  const plain: string[][] = [
    ...remove.map((key) => ['peer', key, 'remove']),
    ...set.filter(({ presharedKey }) => presharedKey == null).map((peer) => argsOf(peer)),
  ]
  const found: WgCall[] = []
  for (let from = 0; from < plain.length; from += atOnce) found.push({ args: plain.slice(from, from + atOnce).flat(), secret: null })
  for (const peer of set) if (peer.presharedKey != null) found.push({ args: argsOf(peer), secret: peer.presharedKey })
  return found
}

const argsOf = ({ publicKey, allowedIps, presharedKey }: PeerSetting): string[] => [
  ...['peer', publicKey],
  ...(presharedKey == null ? [] : ['preshared-key', '/dev/stdin']),
  ...['allowed-ips', allowedIps.join(',')],
]

/**
 * The peers of `wg show <interface> dump`. Its first line has the interface's private key and is read past.
 * @throws PintailError `unavailable`
 */
export function readDump(output: string): WireGuardPeer[] {
  const [first = '', ...lines] = output.trimEnd().split('\n')
  if (first.split('\t').length !== 4) throw garbled()
  return lines.map((line) => {
    const [publicKey = '', , endpoint = '', allowedIps = '', handshake = '', rx = '', tx = ''] = line.split('\t')
    const [seconds, rxBytes, txBytes] = [Number(handshake), Number(rx), Number(tx)]
    if (keyProblem(publicKey) !== null || allowedIps === '' || ![seconds, rxBytes, txBytes].every(Number.isSafeInteger)) throw garbled()
    return {
      publicKey,
      allowedIps: allowedIps === '(none)' ? [] : allowedIps.split(','),
      endpoint: endpoint === '(none)' ? null : endpoint,
      latestHandshakeAt: seconds > 0 ? seconds * 1000 : null,
      rxBytes,
      txBytes,
    }
  })
}

const garbled = (): PintailError =>
  new PintailError('unavailable', 'the output of `wg show … dump` was not understood', {
    remedy: 'Check that `command` is wg of wireguard-tools.',
  })

/**
 * A file with the key that has no name any more, to be the standard input: nothing is left of it, however this ends. Not a
 * pipe of Node's: that is a socket, and `/dev/stdin` cannot be opened when it is one.
 */
function openSecret(secret: string): number {
  const path = join(tmpdir(), `pintail-${randomUUID()}`)
  try {
    const fd = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    // At its beginning, which is also where it is read from.
    writeSync(fd, `${secret}\n`, 0)
    return fd
  } catch (cause) {
    const remedy = 'Give this process a folder for temporary files with some room.'
    throw new PintailError('unavailable', 'a preshared key could not be handed to wg', { cause, remedy })
  }
}

const meanings: readonly (readonly [RegExp, string])[] = [
  [/No such device(?! or)/i, 'Make the interface, or name the right one: `wg show interfaces` lists them.'],
  [
    /not permitted|Permission denied/i,
    'Give this process CAP_NET_ADMIN, or access to the daemon’s socket: see the README on capabilities.',
  ],
  [/not supported|Protocol not/i, 'There is no WireGuard in this kernel: load its module, or use wireguard-go.'],
]

/** What `wg` printed on its standard output is in no error: it holds keys. */
function failure(code: number, stderr: string): PintailError {
  const remedy = meanings.find(([pattern]) => pattern.test(stderr))?.[1]
  const text = excerpt(stderr) || `it has exited with ${code}`
  // These come before anything is changed.
  return new PintailError(remedy === undefined ? 'internal' : 'unavailable', `wg: ${text}`, remedy === undefined ? {} : { remedy })
}

function withoutEffect(error: unknown): PintailError {
  if (!(error instanceof PintailError)) return new PintailError('unavailable', 'wg show has failed', { cause: error })
  const remedy = error.remedy ?? 'Look what `wg show` says on this machine.'
  return new PintailError('unavailable', error.message, { cause: error, remedy })
}

/** Some changes were made already. */
function withEffect(error: unknown): unknown {
  if (!(error instanceof PintailError) || error.code !== 'unavailable') return error
  return new PintailError('internal', error.message, { cause: error, ...(error.remedy !== undefined && { remedy: error.remedy }) })
}
