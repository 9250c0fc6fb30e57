// Real WireGuard in the lab: wireguard-go, one process an interface.
import type { ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { end } from './children.ts'
import type { World } from './world.ts'

/** base64 */
export interface Keys {
  readonly privateKey: string
  readonly publicKey: string
}

export function newKeys(): Keys {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  return {
    privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32).toString('base64'),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64'),
  }
}

export interface Peering {
  readonly publicKey: string
  /** Default: none, as for a peer that only probes. */
  readonly allowedIps?: string
  /** host:port */
  readonly endpoint?: string
}

export interface Interface {
  readonly name: string
  readonly keys: Keys
  /** Adds or changes a peer. */
  peer(peering: Peering): Promise<void>
  /** A change by its control socket, in a millisecond: keys and values as `configuration protocol` of wireguard.com/xplatform has them. */
  set(lines: readonly string[]): Promise<void>
  /** What `wg show … dump` tells, a line a peer. */
  dump(): Promise<string>
  /** Ends the process, as a crash would. Its port is closed from then on. */
  kill(): Promise<void>
}

export interface InterfaceOptions {
  readonly place: string
  /** The UDP port that it listens on, at every address of its place. */
  readonly port: number
  /** Its own address in the tunnel, with prefix. */
  readonly address?: string
  /** Default: new ones. */
  readonly keys?: Keys
  /** Of an interface whose daemon was killed: its successor. Default: a new name. */
  readonly name?: string
  readonly peers?: readonly Peering[]
}

let interfaces = 0
const sockets = '/var/run/wireguard'

export async function startWireguard(
  world: World,
  { place, port, address, keys = newKeys(), name: given, peers = [] }: InterfaceOptions,
): Promise<Interface> {
  interfaces += 1
  // The directory of control sockets is the whole machine's, so that no two may have one name; 15 characters at most.
  const name = given ?? `wg${process.pid.toString(36)}x${interfaces}`
  // What is left of the one before would be taken for this one's.
  rmSync(`${sockets}/${name}.sock`, { force: true })
  world.leaves(`${sockets}/${name}.sock`)
  const child = world.spawn(place, 'wireguard-go', '-f', name)
  await controlled(child, name)
  const wg = (script: string) => world.exec(place, 'sh', '-c', script)
  await wg(`printf %s '${keys.privateKey}' | wg set ${name} listen-port ${port} private-key /dev/stdin`)
  const peer = async ({ publicKey, allowedIps, endpoint }: Peering) => {
    await wg(`wg set ${name} peer '${publicKey}' allowed-ips '${allowedIps ?? ''}' ${endpoint ? `endpoint '${endpoint}'` : ''}`)
  }
  for (const one of peers) await peer(one)
  if (address !== undefined) await world.exec(place, 'ip', 'address', 'add', address, 'dev', name)
  await world.exec(place, 'ip', 'link', 'set', name, 'up')
  return {
    name,
    keys,
    peer,
    set: (lines) => told(`${sockets}/${name}.sock`, ['set=1', ...lines]),
    dump: () => world.exec(place, 'wg', 'show', name, 'dump'),
    kill: () => end(child),
  }
}

/** Sockets are of the whole machine's directory, so that no namespace has to be entered. */
async function told(path: string, lines: readonly string[]): Promise<void> {
  const socket = connect(path)
  socket.setTimeout(60_000, () => socket.destroy(new Error(`${path} does not answer`)))
  socket.write(`${lines.join('\n')}\n\n`)
  let answer = ''
  for await (const chunk of socket.setEncoding('utf8')) {
    answer += chunk
    if (answer.endsWith('\n\n')) break
  }
  socket.destroy()
  if (answer.trim() !== 'errno=0') throw new Error(`${path} says ${answer.trim()}`)
}

async function controlled(child: ChildProcess, name: string): Promise<void> {
  for (const end = performance.now() + 60_000; !existsSync(`${sockets}/${name}.sock`); ) {
    if (child.exitCode !== null || performance.now() > end)
      throw new Error(`wireguard-go did not start: ${child.exitCode ?? 'no control socket'}`)
    await sleep(20)
  }
}
