// What a real host has in Postgres: two tables, and the few statements that it runs on them.

export type ServerStatus = 'online' | 'offline' | 'maintenance'

export interface ServerRow {
  readonly id: number
  readonly host: string
  readonly port: number
  readonly region: string
  readonly capacity: number
  status: ServerStatus
}

export interface AccessRow {
  readonly user_id: string
  readonly region: string
  server_id: number
}

export class Database {
  readonly servers: readonly ServerRow[]
  readonly access: readonly AccessRow[]

  constructor(servers: readonly ServerRow[], access: readonly AccessRow[]) {
    this.servers = servers.map((row) => ({ ...row }))
    this.access = access.map((row) => ({ ...row }))
  }

  /** `select … from access where server_id = $1` */
  accessOn(server: number): readonly AccessRow[] {
    return this.access.filter(({ server_id }) => server_id === server)
  }

  /** `select … from access where user_id = $1` */
  accessOf(user: string): AccessRow | undefined {
    return this.access.find(({ user_id }) => user_id === user)
  }

  /** `update access set server_id = $3 where user_id = $1 and server_id = $2`; whether a row was changed. */
  reassign(user: string, from: number, to: number): boolean {
    const row = this.accessOf(user)
    if (row?.server_id !== from) return false
    row.server_id = to
    return true
  }

  /** `update servers set status = $2 where id = $1` */
  setStatus(server: number, status: ServerStatus): void {
    const row = this.servers.find(({ id }) => id === server)
    if (row) row.status = status
  }
}
