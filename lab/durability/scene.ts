// One panel with its users, one store, and the engines over it: each a process of its own.
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { postgresMigrations } from '@pintail/adapters/postgres'
import type { FleetStatus, PolicyInput } from '@pintail/core'
import { end } from '../children.ts'
import type { Place } from '../world.ts'
import type { Stage } from './stage.ts'
import type { Book, EngineSetting, LeaseCall, PanelSetting, Word } from './words.ts'

export interface Line {
  readonly type: string
  readonly at: number
  // biome-ignore lint/suspicious/noExplicitAny: the payloads of all events, as they come over a pipe
  readonly data: any
}

/** The row of the lease, milliseconds. */
export interface LeaseRow {
  readonly token: number
  readonly holder: string | null
  /** PostgreSQL: since 1970, by the clock of the server. SQLite: by the clock that the processes of the machine share. */
  readonly until: number
}

export interface SceneSetting {
  readonly name: string
  readonly store: 'postgres' | 'sqlite'
  readonly panel?: Partial<PanelSetting>
  readonly fencing?: EngineSetting['fencing']
  readonly clientDelayMs?: number
  readonly policy?: PolicyInput
}

export type Scene = Awaited<ReturnType<typeof makeScene>>
export type Engine = ReturnType<typeof running>

/** As long as the engine makes it at least; with a call of at most `timeoutMs` no lease is longer. */
export const ttlMs = 30_000
export const timeoutMs = 5000
export const skewMs = 1000

const policy: PolicyInput = {
  mode: 'auto',
  registryRefreshMs: 1000,
  guards: { recheckMs: 200 },
  detect: { checkIntervalMs: 500, pingTimeoutMs: 500, confirm: { intervalMs: 100, durationMs: 1500, timeoutMs: 300 } },
  migration: { concurrency: 50, concurrencyPerTarget: 20, timeoutMs },
}

export async function makeScene(stage: Stage, setting: SceneSetting) {
  const { name, store: kind, fencing = 'enforced', clientDelayMs = 0 } = setting
  const { world, database, folder } = stage
  const path = join(folder, `${name}.db`)
  const panelSetting: PanelSetting = {
    host: world.host(1),
    servers: 10,
    users: 2000,
    capacity: 2000,
    latencyMs: 20,
    seed: 1,
    ...setting.panel,
  }
  const panel = world.node('hosts', 'lab/durability/panel.ts', JSON.stringify(panelSetting))
  const { ask, first } = asker(panel)
  const { port } = (await first) as { port: number }
  if (kind === 'postgres') for (const { sql } of postgresMigrations({ schema: name })) await stage.sql(sql)
  const store: EngineSetting['store'] = kind === 'postgres' ? { kind, schema: name, ...database } : { kind, path }
  const engines: Engine[] = []

  const start = (engine: string, place: Place = 'prober') => {
    const own: EngineSetting = {
      name: engine,
      panel: [panelSetting.host, port],
      store,
      fencing,
      clientDelayMs,
      policy: setting.policy ?? policy,
    }
    const one = running(engine, world.node(place, 'lab/durability/engine.ts', JSON.stringify(own)))
    engines.push(one)
    return one
  }

  const lease = async (): Promise<LeaseRow> => {
    if (kind === 'postgres') {
      const row = await stage.sql(`SELECT token, coalesce(holder, ''), extract(epoch FROM until) * 1000 FROM "${name}".lease`)
      const [token, holder, until] = row.trim().split('\t')
      return { token: Number(token), holder: holder || null, until: Number(until) }
    }
    return read(path, (db) => {
      const row = db.prepare('SELECT token, holder, since + ttl_ms AS until FROM lease').get()
      return { token: Number(row?.token), holder: (row?.holder ?? null) as string | null, until: Number(row?.until) }
    })
  }

  const rows = async (table: string, what: string): Promise<string[]> => {
    if (kind === 'postgres') return (await stage.sql(`SELECT ${what} FROM "${name}".${table}`)).split('\n').filter(Boolean)
    return read(path, (db) => db.prepare(`SELECT ${what} AS one FROM ${table}`).all()).map(({ one }) => String(one))
  }

  return {
    name,
    setting: panelSetting,
    engines,
    start,
    lease,
    ask,
    book: () => ask({ do: 'book' }) as Promise<Book>,
    /** The first engine that leads with a higher token than this. */
    leader: async (after = 0): Promise<Engine> => {
      for (;;) {
        const found = engines.find((one) => one.isAlive() && one.told('leader.acquired').some(({ data }) => data.token > after))
        if (found) return found
        await Promise.race(engines.filter((one) => one.isAlive()).map((one) => one.next()))
      }
    },
    /** Who has got the newest lease, of those who live. */
    current: (): Engine => {
      const tokenOf = (one: Engine) => one.told('leader.acquired').at(-1)?.data.token ?? 0
      const [newest] = engines.filter((one) => one.isAlive()).sort((one, other) => tokenOf(other) - tokenOf(one))
      if (!newest) throw new Error('nobody lives')
      return newest
    },
    /** What the store has: entries of the journal in their order, and records of a kind. */
    journal: async () =>
      (
        await rows(
          'journal',
          kind === 'postgres'
            ? `json_build_object('seq', seq, 'at', at, 'type', type, 'data', data)::text`
            : `json_object('seq', seq, 'at', at, 'type', type, 'data', json(data))`,
        )
      )
        .map((row) => JSON.parse(row) as Line & { readonly seq: number })
        .sort((one, other) => one.seq - other.seq),
    migrations: async () => (await rows('migrations', 'record')).map((row) => JSON.parse(row)),
    revokes: async () => (await rows(`records WHERE kind = 'revoke'`, 'record')).map((row) => JSON.parse(row)),
    end: async () => {
      await Promise.all([...engines.map((one) => end(one.child)), end(panel)])
    },
  }
}

function read<T>(path: string, work: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path, { readOnly: true, timeout: 60_000 })
  try {
    return work(db)
  } finally {
    db.close()
  }
}

/** A child that says something at first, as number 0, and then answers lines with lines of the same number. */
function asker(child: ChildProcess) {
  const open = new Map<number, (value: unknown) => void>()
  let last = 0
  const first = new Promise((resolve) => open.set(0, resolve))
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const { id, value } = JSON.parse(line)
    open.get(id)?.(value)
    open.delete(id)
  })
  const ask = (word: Word): Promise<unknown> =>
    new Promise((resolve) => {
      open.set(++last, resolve)
      child.stdin?.write(`${JSON.stringify({ id: last, ...word })}
`)
    })
  return { ask, first }
}

type Status = Pick<FleetStatus, 'state' | 'leader' | 'storeTrouble' | 'pendingRevokes' | 'lastCheckAt'> & {
  readonly incidents: number
  readonly evacuations: number
}

function running(name: string, child: ChildProcess) {
  const lines: Line[] = []
  const leases: LeaseCall[] = []
  const statuses: Status[] = []
  const wake: (() => void)[] = []
  const changed = () => {
    for (const one of wake.splice(0)) one()
  }
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (text) => {
    const line = JSON.parse(text)
    if ('lease' in line) leases.push(line)
    else if ('status' in line) statuses.push(line.status)
    else lines.push(line)
    changed()
  })
  child.on('exit', changed)
  const isAlive = () => child.exitCode === null && child.signalCode === null
  const next = () => new Promise<void>((resolve) => wake.push(resolve))
  const until = async <T>(find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      if (!isAlive()) throw new Error(`${name} has ended with ${child.exitCode ?? child.signalCode}: ${JSON.stringify(lines.slice(-5))}`)
      await next()
    }
  }
  const told = (type: string) => lines.filter((line) => line.type === type)
  return {
    name,
    child,
    leases,
    isAlive,
    next,
    told,
    until,
    hears: (type: string, matches: (data: Line['data']) => boolean = () => true, after = 0) =>
      until(() => told(type).find((line) => line.at > after && matches(line.data))),
    status: (): Promise<Status> => {
      const before = statuses.length
      child.stdin?.write('status\n')
      return until(() => statuses[before])
    },
    kill: () => end(child),
    signal: (name: 'SIGSTOP' | 'SIGCONT') => void child.kill(name),
    stop: async () => {
      child.stdin?.write('stop\n')
      while (isAlive()) await next()
    },
  }
}
