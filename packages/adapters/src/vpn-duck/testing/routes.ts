import type { Dialect } from '../options.ts'
import { geolocations, keyOf, type ServerRow, type SessionRow, type Tables, textFor } from './tables.ts'

export interface Reply {
  readonly status: number
  readonly body: unknown
}

export interface Asked {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
}

export interface RouteOptions {
  readonly dialect: Dialect
  /** What v2's `GET /api/config/{user}` reads: its own table, the one that moves change, or nothing, because it is not there. */
  readonly configurations: 'separate' | 'same' | 'missing'
  /** Whether clients load the new file as soon as they are moved. */
  readonly clients: 'stay' | 'follow'
  readonly now: () => number
}

const ok = (body: unknown, status = 200): Reply => ({ status, body })
const refuse = (status: number, error: string): Reply => ({ status, body: { error } })
const number = (value: unknown): number => (typeof value === 'number' ? value : Number(value))

/** As Flask writes dates that nobody has formatted. */
const httpDate = (at: number): string => new Date(at).toUTCString()
/** Python's isoformat() of a date without a zone. */
const naive = (at: number): string => new Date(at).toISOString().slice(0, 19)

const allowed: Readonly<Record<Dialect, readonly string[]>> = {
  v1: ['active', 'inactive', 'degraded', 'maintenance'],
  v2: ['active', 'inactive', 'maintenance', 'error'],
}

/** The routes of the database service, with everything that is odd about them. Null: it does not know the path. */
export class Routes {
  readonly #tables: Tables
  readonly #options: RouteOptions

  constructor(tables: Tables, options: RouteOptions) {
    this.#tables = tables
    this.#options = options
  }

  answer(asked: Asked): Reply | null {
    const { dialect } = this.#options
    const [, prefix = '', path = ''] = /^(\/api)?(\/.*)$/.exec(asked.path) ?? []
    if (prefix !== (dialect === 'v2' ? '/api' : '')) return null
    const route = `${asked.method} ${path}`
    const fixed = this.#fixed(route, asked.body)
    if (fixed) return fixed
    const [, id = '', rest = ''] = /^(?:GET|POST) \/servers\/([^/]+)(\/\w+)?$/.exec(route) ?? []
    if (asked.method === 'GET' && id !== '' && rest === '') return this.#server(decodeURIComponent(id))
    if (asked.method === 'GET' && rest === '/connections' && /^\d+$/.test(id)) return this.#connections(Number(id))
    if (asked.method === 'POST' && rest === '/status' && /^\d+$/.test(id)) return this.#setStatus(Number(id), asked.body)
    const [, user] = /^GET \/config\/(\d+)$/.exec(route) ?? []
    return user === undefined ? null : this.#configuration(Number(user))
  }

  #fixed(route: string, body: Asked['body']): Reply | null {
    const isV1 = this.#options.dialect === 'v1'
    switch (route) {
      case 'GET /servers/all':
        return ok({ servers: this.#listed() })
      case 'POST /servers/update_status_batch':
        return this.#setStatuses(body)
      case 'POST /configs/change_geolocation':
        return isV1 ? this.#moveV1(body) : this.#moveV2(body)
      case 'POST /server_migrations/log':
        return this.#log(body)
      case 'POST /servers/metrics/add':
        return this.#addMetrics(body)
      case 'POST /servers/select_optimal':
        return this.#selectOptimal(body)
      case 'POST /configs/migrate_users':
        // v2's own drain writes a column that its schema does not have.
        return isV1 ? null : refuse(500, 'column "updated_at" of relation "configurations" does not exist')
      default:
        return null
    }
  }

  // ------------------------------------------------------------------------------------------------------------ servers

  #listed(): object[] {
    const rows = [...this.#tables.servers.values()]
    return this.#options.dialect === 'v1'
      ? rows.sort((a, b) => a.id - b.id).map((row) => this.#v1Row(row))
      : rows.map((row) => this.#v2Row(row))
  }

  #v1Row(row: ServerRow): object {
    return {
      id: row.id,
      geolocation_id: row.geolocationId,
      endpoint: row.endpoint,
      port: 51_820,
      public_key: keyOf(`server ${row.id}`),
      private_key: keyOf(`private ${row.id}`),
      address: `10.${row.id % 250}.0.1/24`,
      status: row.status,
      last_check: httpDate(this.#options.now()),
      load_factor: row.loadFactor,
      metrics_rating: 80,
      created_at: httpDate(row.createdAt),
      city: row.id % 3 === 0 ? null : `City ${row.id}`,
      country: row.id % 3 === 0 ? null : 'Россия',
      latitude: row.id % 3 === 0 ? null : 55.7,
      longitude: row.id % 3 === 0 ? null : 37.6,
    }
  }

  #v2Row(row: ServerRow): object {
    const { geolocationId } = row
    return {
      id: String(row.id),
      server_id: `srv-${keyOf(String(row.id))
        .toLowerCase()
        .replace(/[^0-9a-f]/g, '')
        .padEnd(8, '0')
        .slice(0, 8)}`,
      name: `duck-${row.id}`,
      location: `Location ${row.id}`,
      api_url: `https://api-${row.id}.example.net`,
      endpoint: row.endpoint,
      port: row.endpoint === null ? null : 51_820,
      address: null,
      public_key: keyOf(`server ${row.id}`),
      api_path: '/status',
      skip_api_check: false,
      geolocation_id: geolocationId === null ? null : String(geolocationId),
      geolocation_name: geolocationId === null ? null : (geolocations[geolocationId] ?? null),
      auth_type: 'api_key',
      max_peers: row.maxPeers,
      is_active: row.status === 'active',
      status: row.status === 'active' ? 'active' : 'inactive',
    }
  }

  #server(id: string): Reply {
    const isV1 = this.#options.dialect === 'v1'
    if (isV1 && !/^\d+$/.test(id)) return refuse(404, 'Сервер не найден')
    // v2 makes a server of every text that looks like the name of one.
    if (!isV1 && id.startsWith('srv-'))
      this.#tables.addServer({ id: 90_000 + this.#tables.nextId(), endpoint: 'localhost', geolocationId: null })
    const row = this.#tables.servers.get(Number(id))
    if (!row) return refuse(404, isV1 ? 'Сервер не найден' : 'Server not found')
    if (!isV1)
      return ok({
        server: {
          ...this.#v2Row(row),
          api_key: `key-of-${id}-which-is-secret`,
          oauth_client_secret: 'oauth-secret-value',
          hmac_secret: 'hmac-secret-value',
        },
      })
    const count = this.#tables.sessions.filter(({ server }) => server === row.id).length
    return ok({
      ...this.#v1Row(row),
      geolocation_name: 'Россия',
      geolocation_code: 'ru',
      active_connections_count: count,
      avg_latency: null,
    })
  }

  #connections(id: number): Reply {
    const { sessions, configurations } = this.#tables
    const { dialect, now } = this.#options
    const there = sessions.filter(({ server }) => server === id)
    if (dialect === 'v2') return ok({ connections: there.map((row) => sessionRow(row, httpDate)) })
    const rows = there.filter(({ userId, lastActivity }) => lastActivity > now() - 3_600_000 && configurations.has(userId))
    rows.sort((a, b) => b.lastActivity - a.lastActivity)
    return ok({
      connections: rows.map((row) => {
        const configuration = configurations.get(row.userId)
        return { ...sessionRow(row, naive), config_id: configuration?.id, geolocation_id: configuration?.geolocationId }
      }),
    })
  }

  #setStatus(id: number, { status }: Asked['body']): Reply {
    const { dialect, now } = this.#options
    const isV1 = dialect === 'v1'
    if (typeof status !== 'string') return refuse(400, isV1 ? 'Отсутствует поле status' : 'Missing status field')
    if (!allowed[dialect].includes(status)) return refuse(400, isV1 ? 'Недопустимый статус' : 'Invalid status value')
    const row = this.#tables.servers.get(id)
    if (isV1 && !row) return refuse(404, 'Сервер не найден')
    if (row) row.status = this.#kept(status)
    // v2 has counted no rows.
    return isV1
      ? ok({ server_id: id, status, updated_at: naive(now()) })
      : ok({ success: true, message: `Server status updated to ${status}` })
  }

  /** v2 keeps of all words only whether it is `active`. */
  #kept(status: string): string {
    return this.#options.dialect === 'v1' || status === 'active' ? status : 'inactive'
  }

  #setStatuses({ servers }: Asked['body']): Reply {
    const { dialect, now } = this.#options
    const isV1 = dialect === 'v1'
    if (!Array.isArray(servers) || (isV1 && servers.length === 0))
      return refuse(400, isV1 ? 'Отсутствует список серверов' : 'Missing or invalid servers list')
    const updated: object[] = []
    for (const { id, status } of servers as { id: unknown; status: unknown }[]) {
      const row = this.#tables.servers.get(number(id))
      if (typeof status !== 'string' || !row || (isV1 && !allowed.v1.includes(status))) continue
      row.status = this.#kept(status)
      updated.push({ server_id: row.id, status })
    }
    if (isV1) return ok({ updated_servers: updated, count: updated.length, updated_at: naive(now()) })
    return ok({ success: true, message: `Updated status for ${servers.length} servers` })
  }

  #selectOptimal({ geolocation_id: place }: Asked['body']): Reply {
    const rows = [...this.#tables.servers.values()].filter(
      ({ status, geolocationId }) => status === 'active' && geolocationId === number(place),
    )
    const count = (id: number): number => this.#tables.sessions.filter(({ server }) => server === id).length
    const [best] = rows.sort((a, b) => count(a.id) - count(b.id) || a.id - b.id)
    if (!best)
      return this.#options.dialect === 'v1'
        ? refuse(404, 'Нет подходящих серверов')
        : { status: 404, body: { message: 'No available servers found' } }
    // v2 gives numbers here, and texts in its lists.
    return ok({ server: this.#options.dialect === 'v1' ? this.#v1Row(best) : { ...this.#v2Row(best), id: best.id } })
  }

  // -------------------------------------------------------------------------------------------------------------- users

  #configuration(user: number): Reply | null {
    const { configurations, userConfigs } = this.#tables
    const row = configurations.get(user)
    if (this.#options.dialect === 'v1') {
      if (!row) return refuse(404, 'Активная конфигурация не найдена')
      return ok(this.#configurationRow(user))
    }
    if (this.#options.configurations === 'missing') return null
    const server = this.#options.configurations === 'same' ? row?.server : userConfigs.get(user)
    if (server === undefined) return refuse(404, 'User configuration not found')
    return ok({
      id: user,
      user_id: user,
      server_id: server,
      geolocation_id: 1,
      config_text: '…',
      active: true,
      server_name: `duck-${server}`,
    })
  }

  #configurationRow(user: number): object {
    const row = this.#tables.configurations.get(user)
    if (!row) return {}
    return {
      id: row.id,
      user_id: user,
      config: row.config,
      public_key: row.publicKey,
      expiry_time: naive(row.createdAt + 30 * 86_400_000),
      active: true,
      created_at: naive(row.createdAt),
      geolocation_id: row.geolocationId,
      server_id: row.server,
      geolocation_name: geolocations[row.geolocationId] ?? null,
      server_endpoint: this.#tables.servers.get(row.server)?.endpoint ?? null,
    }
  }

  #moveV1(body: Asked['body']): Reply {
    if (!['user_id', 'geolocation_id', 'server_id'].every((field) => field in body)) return refuse(400, 'Отсутствуют обязательные поля')
    const [user, server, place] = [number(body.user_id), number(body.server_id), number(body.geolocation_id)]
    const row = this.#tables.configurations.get(user)
    if (!row) return refuse(404, 'Активная конфигурация не найдена')
    if (!this.#tables.servers.has(server)) return refuse(404, 'Выбранный сервер не найден')
    const key = `${user}/${server}`
    if (!this.#tables.texts.has(key)) this.#tables.texts.set(key, textFor(user, '<private_key_placeholder>'))
    Object.assign(row, { server, geolocationId: place, config: this.#tables.texts.get(key) })
    this.#follow(user, server)
    return ok({ status: 'success', config: this.#configurationRow(user) })
  }

  #moveV2(body: Asked['body']): Reply {
    for (const field of ['user_id', 'geolocation_id']) if (!(field in body)) return refuse(400, `Missing required field: ${field}`)
    const row = this.#tables.configurations.get(number(body.user_id))
    if (row) {
      row.geolocationId = number(body.geolocation_id)
      // No foreign key here: whatever number comes is written.
      if (body.server_id) row.server = number(body.server_id)
      this.#follow(row.userId, row.server)
    }
    return ok({ success: true, message: 'Geolocation changed successfully' })
  }

  #follow(user: number, server: number): void {
    if (this.#options.clients === 'follow') this.#tables.connect(user, server)
  }

  // ------------------------------------------------------------------------------------------------------ log, figures

  #log(body: Asked['body']): Reply {
    const isV1 = this.#options.dialect === 'v1'
    for (const field of ['user_id', 'from_server_id', 'to_server_id', 'migration_reason'])
      if (!(field in body)) return refuse(400, isV1 ? 'Отсутствуют обязательные поля' : `Missing required field: ${field}`)
    const { user_id, from_server_id, to_server_id, migration_reason, success } = body
    const [user, from, to, reason] = [number(user_id), number(from_server_id), number(to_server_id), String(migration_reason)]
    if (reason.length > 50) return refuse(500, 'value too long for type character varying(50)')
    const known = isV1 ? this.#tables.servers : this.#tables.legacyServers
    for (const [column, id] of [
      ['from_server_id', from],
      ['to_server_id', to],
    ] as const)
      if (!known.has(id))
        return refuse(
          500,
          `insert or update on table "server_migrations" violates foreign key constraint "server_migrations_${column}_fkey"\nDETAIL:  Key (${column})=(${id}) is not present in table "servers".\n`,
        )
    const id = this.#tables.nextId()
    const at = this.#options.now()
    this.#tables.migrations.push({ id, userId: user, from, to, reason, success: isV1 ? true : success !== false, at })
    if (isV1)
      return ok(
        {
          status: 'success',
          migration_id: id,
          user_id: user,
          from_server_id: from,
          to_server_id: to,
          migration_reason: reason,
          migration_time: naive(at),
        },
        201,
      )
    return ok({ success: true, message: 'Migration logged successfully', migration_id: id })
  }

  #addMetrics(body: Asked['body']): Reply {
    const isV1 = this.#options.dialect === 'v1'
    if (isV1 ? !body.server_id : !('server_id' in body))
      return refuse(400, isV1 ? 'Отсутствуют обязательные поля' : 'Missing server_id field')
    const figure = (value: unknown): number | null => (typeof value === 'number' ? value : null)
    const { server_id, latency, packet_loss, jitter } = body
    this.#tables.metrics.push({
      server: server_id as number | string,
      latency: figure(latency),
      packetLoss: figure(packet_loss),
      jitter: figure(jitter),
    })
    const id = this.#tables.nextId()
    return ok(isV1 ? { status: 'success', metric_id: id } : { success: true, message: 'Metrics added successfully', metric_id: id })
  }
}

function sessionRow(row: SessionRow, date: (at: number) => string): object {
  return {
    id: row.id,
    user_id: row.userId,
    server_id: row.server,
    connected_at: date(row.connectedAt),
    last_activity: date(row.lastActivity),
    ip_address: `198.51.100.${row.userId % 250}`,
    bytes_sent: 0,
    bytes_received: 0,
  }
}
