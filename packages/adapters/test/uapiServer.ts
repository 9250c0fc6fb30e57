// The control socket of a WireGuard in user space, from its documented protocol alone: what tests talk to where there is no
// root for a real one. It has WireGuard's own trap: an address goes silently to whoever asks for it last.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface UapiPeer {
  allowedIps: Set<string>
  presharedKey: string | null
  endpoint: string | null
  /** Milliseconds since 1970; 0: never. */
  handshakeAt: number
}

type Trouble = 'silent' | 'cut' | 'garbled' | 'endless' | 'refuse'

export class UapiServer implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'pintail-uapi-'))
  readonly path = join(this.folder, 'wg0.sock')
  /** By public key in base64. */
  readonly peers = new Map<string, UapiPeer>()
  /** How often it was read and written. */
  readonly calls = { get: 0, set: 0 }
  /** The lines of each `set`. */
  readonly written: string[][] = []
  trouble: Trouble | null = null
  /** Refuses a set that speaks of this key. */
  refused: string | null = null
  /** What a `get` waits for. */
  gate: Promise<unknown> = Promise.resolve()
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer((socket) => {
    this.#sockets.add(socket)
    socket.setEncoding('latin1').on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
      if (text.endsWith('\n\n')) void this.#answer(socket, text.trimEnd().split('\n'))
    })
  })

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.path, resolve))
    return this
  }

  get openSockets(): number {
    return this.#sockets.size
  }

  peer(key: string, ...allowedIps: string[]): UapiPeer {
    const peer = { allowedIps: new Set(allowedIps), presharedKey: null, endpoint: null, handshakeAt: 0 }
    this.peers.set(key, peer)
    return peer
  }

  /** Who has which addresses. */
  table(): Record<string, string[]> {
    return Object.fromEntries([...this.peers].map(([key, { allowedIps }]) => [key, [...allowedIps]]))
  }

  async #answer(socket: Socket, lines: string[]): Promise<void> {
    const isGet = lines[0] === 'get=1'
    this.calls[isGet ? 'get' : 'set'] += 1
    if (this.trouble === 'silent') return
    if (this.trouble === 'cut') return void socket.destroy()
    if (this.trouble === 'garbled') return void socket.end('HTTP/1.1 400 Bad Request\n\n')
    if (this.trouble === 'refuse') return void socket.write('errno=-22\n\n')
    if (this.trouble === 'endless') {
      const more = () => socket.writable && socket.write('x'.repeat(1 << 20), more)
      return void more()
    }
    await this.gate
    socket.write(isGet ? this.#dump() : this.#set(lines.slice(1)))
  }

  #dump(): string {
    const lines = [`private_key=${'5a'.repeat(32)}`, 'listen_port=51820']
    for (const [key, { allowedIps, handshakeAt, endpoint }] of this.peers) {
      lines.push(`public_key=${hex(key)}`, `preshared_key=${'77'.repeat(32)}`, 'protocol_version=1')
      if (endpoint !== null) lines.push(`endpoint=${endpoint}`)
      lines.push(`last_handshake_time_sec=${Math.floor(handshakeAt / 1000)}`, `last_handshake_time_nsec=${(handshakeAt % 1000) * 1e6}`)
      lines.push('tx_bytes=5', 'rx_bytes=7', 'persistent_keepalive_interval=0', ...[...allowedIps].map((one) => `allowed_ip=${one}`))
    }
    return `${lines.join('\n')}\nerrno=0\n\n`
  }

  #set(lines: string[]): string {
    this.written.push(lines)
    let [key, peer]: [string, UapiPeer | null] = ['', null]
    for (const line of lines) {
      const [name, value = ''] = line.split('=') as [string, string?]
      if (name === 'public_key') {
        key = Buffer.from(value, 'hex').toString('base64')
        // What stood before it is in force.
        if (key === this.refused) return 'errno=22\n\n'
        peer = this.peers.get(key) ?? this.peer(key)
      } else if (name === 'remove') this.peers.delete(key)
      else if (name === 'replace_allowed_ips') peer?.allowedIps.clear()
      else if (name === 'preshared_key' && peer) peer.presharedKey = Buffer.from(value, 'hex').toString('base64')
      else if (name === 'allowed_ip') {
        for (const other of this.peers.values()) other.allowedIps.delete(value)
        peer?.allowedIps.add(value)
      }
    }
    return 'errno=0\n\n'
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
    rmSync(this.folder, { recursive: true, force: true })
  }

  [Symbol.asyncDispose] = (): Promise<void> => this.close()
}

const hex = (key: string): string => Buffer.from(key, 'base64').toString('hex')
