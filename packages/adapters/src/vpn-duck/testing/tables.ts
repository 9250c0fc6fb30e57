import { createHash } from 'node:crypto'

/** A server of the stand-in; everything has a default. */
export interface StandInServer {
  readonly id: number
  /** Null: none, as VPN Duck's v2 often has it. Default `127.0.0.<10 + id>`. */
  readonly endpoint?: string | null
  /** Any word; v2 keeps only whether it is `active`. Default `active`. */
  readonly status?: string
  /** Default: 1 for odd ids and 2 for even ones. */
  readonly geolocationId?: number | null
  /** v2's max_peers. Default 1 000. */
  readonly maxPeers?: number
  /** v1's load_factor, percent. Default 0. */
  readonly loadFactor?: number
}

export interface StandInUser {
  readonly id: number
  /** The server that he is assigned to, and was seen on. */
  readonly server: number
  /** His rows in active_connections. Default 1. */
  readonly rows?: number
  /** Without one nobody can be moved. Default true. */
  readonly hasConfiguration?: boolean
  /** How long ago he was active, milliseconds. Default 60 000. */
  readonly idleMs?: number
}

export interface ServerRow {
  id: number
  endpoint: string | null
  status: string
  geolocationId: number | null
  maxPeers: number
  loadFactor: number
  createdAt: number
}

export interface ConfigurationRow {
  id: number
  userId: number
  server: number
  geolocationId: number
  config: string
  publicKey: string
  createdAt: number
}

export interface SessionRow {
  id: number
  userId: number
  server: number
  connectedAt: number
  lastActivity: number
}

export interface MigrationRow {
  readonly id: number
  readonly userId: number
  readonly from: number
  readonly to: number
  readonly reason: string
  readonly success: boolean
  readonly at: number
}

export interface MetricRow {
  readonly server: number | string
  readonly latency: number | null
  readonly packetLoss: number | null
  readonly jitter: number | null
}

export const geolocations: Readonly<Record<number, string>> = { 1: 'Россия', 2: 'Европа', 3: 'США' }

/** A key that is nobody's, but looks like one: 32 bytes as base64. */
export const keyOf = (what: string): string => createHash('sha256').update(what).digest('base64')

/** The tables of VPN Duck, as far as its migration service meets them. */
export class Tables {
  readonly servers = new Map<number, ServerRow>()
  /** Active configurations by user: where he is assigned. */
  readonly configurations = new Map<number, ConfigurationRow>()
  /** v2's other table of configurations, which a move does not change. */
  readonly userConfigs = new Map<number, number>()
  /** Texts by user and server, for whom one was made. */
  readonly texts = new Map<string, string>()
  /** active_connections: where users were seen. */
  readonly sessions: SessionRow[] = []
  readonly migrations: MigrationRow[] = []
  readonly metrics: MetricRow[] = []
  /** The rows of v2's old `servers` table, which the migration log refers to. */
  readonly legacyServers = new Set<number>()
  readonly #now: () => number
  #ids = 0

  constructor(now: () => number) {
    this.#now = now
  }

  nextId(): number {
    return ++this.#ids
  }

  addServer({
    id,
    endpoint = `127.0.0.${10 + id}`,
    status = 'active',
    geolocationId,
    maxPeers = 1000,
    loadFactor = 0,
  }: StandInServer): void {
    const place = geolocationId === undefined ? (id % 2 === 1 ? 1 : 2) : geolocationId
    this.servers.set(id, { id, endpoint, status, geolocationId: place, maxPeers, loadFactor, createdAt: this.#now() })
    this.legacyServers.add(id)
  }

  addUser({ id, server, rows = 1, hasConfiguration = true, idleMs = 60_000 }: StandInUser): void {
    const at = this.#now() - idleMs
    for (let row = 0; row < rows; row++)
      this.sessions.push({
        id: this.nextId(),
        userId: id,
        server,
        connectedAt: at - 3_600_000 - row * 60_000,
        lastActivity: at - row * 1000,
      })
    if (!hasConfiguration) return
    const geolocationId = this.servers.get(server)?.geolocationId ?? 1
    const config = textFor(id, keyOf(`client ${id}`))
    this.configurations.set(id, {
      id: this.nextId(),
      userId: id,
      server,
      geolocationId,
      config,
      publicKey: keyOf(`user ${id}`),
      createdAt: at,
    })
    this.userConfigs.set(id, server)
    this.texts.set(`${id}/${server}`, config)
  }

  /** The user's client connects there. */
  connect(userId: number, server: number): void {
    const at = this.#now()
    this.sessions.push({ id: this.nextId(), userId, server, connectedAt: at, lastActivity: at })
  }
}

export function textFor(user: number, privateKey: string): string {
  return `[Interface]\nPrivateKey = ${privateKey}\nAddress = 10.0.0.${(user % 250) + 2}/24\nDNS = 1.1.1.1\n\n[Peer]\nPublicKey = ${keyOf('server')}\nAllowedIPs = 0.0.0.0/0\n`
}
