/**
 * The world of the quickstart: eight "VPN servers", which are TCP listeners on loopback addresses of their own, and
 * the provider's books, which say who may use which server. The engine knows none of this: it sees sockets, through
 * its probers, and rows, through `adapter.ts`.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Needs, ServerInput, ServerStatus } from '@pintail/core'

// id, region, country, failure domain, capacity, users, EUR an hour, protocols
const fleet = [
  ['ams-1', 'eu', 'NL', 'ams-east', 60, 47, 0.05, ['wireguard', 'openvpn']],
  ['ams-2', 'eu', 'NL', 'ams-west', 60, 34, 0.06, ['wireguard', 'openvpn']],
  ['fra-1', 'eu', 'DE', 'fra', 70, 46, 0.07, ['wireguard', 'openvpn']],
  ['nyc-1', 'us', 'US', 'nyc', 80, 52, 0.08, ['wireguard', 'openvpn']],
  ['nyc-2', 'us', 'US', 'nyc', 60, 28, 0.06, ['wireguard', 'openvpn']],
  ['sin-1', 'asia', 'SG', 'sin', 60, 38, 0.1, ['wireguard', 'openvpn']],
  ['tyo-1', 'asia', 'JP', 'tyo', 50, 24, 0.09, ['wireguard', 'openvpn']],
  ['gru-1', 'latam', 'BR', 'gru', 60, 31, 0.04, ['openvpn']],
] as const

const regions: readonly string[] = ['eu', 'us', 'asia', 'latam']

/** One user's access: a row of the provider's database. */
export interface Access {
  readonly id: string
  readonly region: string
  readonly needs: Needs | null
  /** The server that the user is assigned to. */
  home: string
}
export type ServerRow = ServerInput & { readonly id: string; readonly port: number; readonly capacity: number }

/** The provider's database, and what its servers have been told. */
export class Books {
  readonly servers = new Map<string, ServerRow & { status: ServerStatus }>()
  readonly users = new Map<string, Access>()
  /** Which users each server lets in. After a move a user is let in by two servers until the old grant is revoked. */
  readonly grants = new Map<string, Set<string>>()
  /** Keys of moves that have had their effect: a repeated one must not have another. */
  readonly done = new Set<string>()
  /** The newest fencing token seen: a leader with an older one is refused. */
  token = 0
  /** The newest call seen for each user: an older one of the same leader is refused. */
  readonly newest = new Map<string, readonly [token: number, epoch: number]>()

  homes(server: string): Access[] {
    return [...this.users.values()].filter(({ home }) => home === server)
  }

  grantsOn(server: string): Set<string> {
    const found = this.grants.get(server) ?? new Set()
    this.grants.set(server, found)
    return found
  }
}

/** A listener that stands for a VPN server. */
class Box {
  readonly host: string
  readonly port: number
  #server: Server | null = null
  readonly #sockets = new Set<Socket>()

  constructor(host: string, port: number) {
    this.host = host
    this.port = port
  }

  get alive(): boolean {
    return this.#server !== null
  }

  async start(): Promise<void> {
    const server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
      socket.resume()
    })
    server.listen({ host: this.host, port: this.port })
    await once(server, 'listening')
    this.#server = server
  }

  /** From now on the kernel refuses connections; the host itself still answers ping. */
  stop(): void {
    this.#server?.close()
    this.#server = null
    for (const socket of this.#sockets) socket.destroy()
  }
}

export interface World {
  readonly books: Books
  alive(server: string): boolean
  kill(server: string): void
  /** Rejects if its port has been taken meanwhile. */
  revive(server: string): Promise<void>
  close(): void
}

/** Opens the listeners and fills the books. @throws Error if no port is free */
export async function createWorld(): Promise<World> {
  const boxes = await openBoxes()
  const books = new Books()
  let user = 0
  for (const [index, [id, region, country, failureDomain, capacity, users, priceEurHour, protocols]] of fleet.entries()) {
    const { host, port } = boxes[index] as Box
    books.servers.set(id, { id, host, port, region, country, failureDomain, capacity, priceEurHour, protocols, status: 'online' })
    for (let n = 0; n < users; n++) {
      const access: Access = {
        id: `user-${String(++user).padStart(3, '0')}`,
        region: regionOf(region, n),
        needs: needsOf(n, protocols),
        home: id,
      }
      books.users.set(access.id, access)
      books.grantsOn(id).add(access.id)
    }
  }
  const boxOf = (id: string): Box => {
    const index = fleet.findIndex(([known]) => known === id)
    const box = boxes[index]
    if (!box) throw new Error(`there is no server ${id}`)
    return box
  }
  return {
    books,
    alive: (id) => boxOf(id).alive,
    kill: (id) => boxOf(id).stop(),
    revive: async (id) => {
      const box = boxOf(id)
      // On the one address of macOS an outgoing connection may hold the port for a moment.
      for (let tries = 0; !box.alive; tries++)
        await box.start().catch(async (error) => {
          if (tries === 20) throw error
          await pause(50)
        })
    },
    close: () => {
      for (const box of boxes) box.stop()
    },
  }
}

/** Most users are near their server; every sixth is not. */
function regionOf(home: string, n: number): string {
  if (n % 6 !== 5) return home
  return regions[(regions.indexOf(home) + 1 + (Math.floor(n / 6) % 3)) % regions.length] ?? home
}

/** Every fifth user has a client that speaks WireGuard only. */
function needsOf(n: number, protocols: readonly string[]): Needs | null {
  return n % 5 === 4 && protocols.includes('wireguard') ? { protocols: ['wireguard'] } : null
}

async function openBoxes(): Promise<Box[]> {
  const ownAddresses = await canListen('127.0.0.11')
  let last: unknown
  for (let tries = 0; tries < 20; tries++) {
    // Below the ports that kernels give to outgoing connections, so that no probe connects to itself.
    const base = 20_000 + Math.floor(Math.random() * 10_000)
    const boxes = fleet.map((_, n) => (ownAddresses ? new Box(`127.0.0.${11 + n}`, base) : new Box('127.0.0.1', base + n)))
    const opened = await Promise.allSettled(boxes.map((box) => box.start()))
    const failed = opened.find((one) => one.status === 'rejected')
    if (!failed) return boxes
    for (const box of boxes) box.stop()
    last = failed.reason
  }
  throw new Error('no free ports on loopback', { cause: last })
}

/** On Linux all of 127.0.0.0/8 is this machine; elsewhere often 127.0.0.1 alone. */
async function canListen(host: string): Promise<boolean> {
  const box = new Box(host, 0)
  const can = await box.start().then(
    () => true,
    () => false,
  )
  box.stop()
  return can
}
