// One engine over a durable store, to be killed: `node lab/durability/engine.ts '{…}'` tells what happens to it as lines
// of JSON, how each call of the lease store has ended among them. On a line "status" of its standard input it prints what
// it thinks of itself, on "stop" it stops and ends.
import { Agent, request } from 'node:http'
import { createInterface } from 'node:readline'
import { postgresStores } from '@pintail/adapters/postgres'
import { sqliteStores } from '@pintail/adapters/sqlite'
import {
  type ConnectionMover,
  createPintail,
  errorText,
  type LeaseStore,
  type Move,
  PintailError,
  type Prober,
  type ServerRegistry,
  systemClock,
} from '@pintail/core'
import { seededRandom } from '@pintail/core/testing'
import { poolOn } from '../../packages/adapters/test/postgres.ts'
import type { Answer, Call, Change, EngineSetting, LeaseCall, MoveOnWire } from './words.ts'

type Unnamed<T> = T extends unknown ? Omit<T, 'engine'> : never

const { name, panel, store: kind, fencing, clientDelayMs, policy } = JSON.parse(process.argv[2] ?? '{}') as EngineSetting
const say = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`)
const now = () => systemClock.now()

// --------------------------------------------------------------------------------------------------------- to the panel

const random = seededRandom(process.pid)
const agent = new Agent({ keepAlive: true, maxSockets: 256 })

/** Like most clients of a panel: what has been sent is not taken back by giving up. */
function ask<T>(call: Unnamed<Call>): Promise<T> {
  const body = JSON.stringify({ engine: name, ...call })
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const asked = request({ host: panel[0], port: panel[1], method: 'POST', agent, headers, timeout: 60_000 }, async (response) => {
      try {
        let text = ''
        for await (const chunk of response.setEncoding('utf8')) text += chunk
        const answer = JSON.parse(text) as Answer
        if (answer.ok) resolve(answer.value as T)
        else reject(new PintailError(answer.code === 'fenced' || answer.code === 'rejected' ? answer.code : 'internal', answer.message))
      } catch (error) {
        reject(error)
      }
    })
    asked.on('timeout', () => asked.destroy(new Error('the panel does not answer')))
    asked.on('error', reject)
    asked.end(body)
  })
}

const onWire = ({ key, connection, from, to, fencingToken, epoch }: Move): MoveOnWire => ({
  key,
  connectionId: connection.id,
  from: from.id,
  to: to.id,
  fencingToken,
  epoch,
})

let leaseUntil = 0

/** The move is called now, and leaves when the client's own queue lets it. */
async function change(what: Change, move: Move): Promise<void> {
  const call = { what, move: onWire(move), fencing, calledAt: now(), leaseUntil } as const
  if (clientDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, 2 * clientDelayMs * random()))
  await ask(call)
}

const registry: ServerRegistry = {
  listServers: () => ask({ what: 'servers' }),
  listConnections: ({ id }) => ask({ what: 'connections', server: id }),
  setServerStatus: ({ id }, status) => ask({ what: 'status', server: id, status }),
}

const mover: ConnectionMover = {
  fencing,
  confirmation: 'applied',
  move: (move) => change('move', move),
  complete: (move) => change('complete', move),
  rollback: (move) => change('rollback', move),
  locate: (move) => ask({ what: 'locate', move: onWire(move) }),
  verify: (move) => ask({ what: 'verify', move: onWire(move) }),
}

const prober: Prober = {
  name: 'panel',
  async probe({ serverId, packets }) {
    const isAlive = await ask<boolean>({ what: 'probe', server: serverId })
    return { sent: packets, received: isAlive ? packets : 0, rttMs: isAlive ? Array.from({ length: packets }, () => 1) : [] }
  },
}

// --------------------------------------------------------------------------------------------------------- to the store

function told(leases: LeaseStore): LeaseStore {
  const note = async <T>(lease: LeaseCall['lease'], call: () => PromiseLike<T>, tokenOf: (value: T) => number | null): Promise<T> => {
    const about = { lease, at: now(), steadyAt: Number(process.hrtime.bigint()) / 1e6 }
    const end = (token: number | null, error: string | null) =>
      say({ ...about, tookMs: now() - about.at, token, error } satisfies LeaseCall)
    try {
      const value = await call()
      end(tokenOf(value), null)
      return value
    } catch (error) {
      end(null, errorText(error))
      throw error
    }
  }
  const holds = (from: number, ttlMs: number) => {
    leaseUntil = from + ttlMs
  }
  return {
    acquire: async (holder, ttlMs, ctx) => {
      const at = now()
      const lease = await note(
        'acquire',
        () => leases.acquire(holder, ttlMs, ctx),
        (one) => one?.token ?? null,
      )
      if (lease) holds(at, lease.ttlMs)
      return lease
    },
    renew: async (lease, ctx) => {
      const at = now()
      const isHeld = await note(
        'renew',
        () => leases.renew(lease, ctx),
        (held) => (held ? lease.token : null),
      )
      if (isHeld) holds(at, lease.ttlMs)
      return isHeld
    },
    release: (lease, ctx) =>
      note(
        'release',
        () => leases.release(lease, ctx),
        () => lease.token,
      ),
  }
}

const { store, leases } =
  kind.kind === 'postgres'
    ? postgresStores({ pool: poolOn({ host: kind.host, port: kind.port, max: 4 }), schema: kind.schema })
    : sqliteStores({ path: kind.path })
const pintail = createPintail({ registry, mover, probers: [prober], store, leases: told(leases), policy })

const wanted = /^(leader|incident|evacuation|migration\.(failed|completed)|guard|warning|server\.verdict_changed)/
pintail.on('*', ({ type, at, data }) => {
  if (wanted.test(type)) say({ type, at, data })
})
await pintail.start()
for await (const word of createInterface({ input: process.stdin })) {
  if (word === 'stop') break
  const { state, leader, storeTrouble, pendingRevokes, lastCheckAt, incidents, evacuations } = pintail.status()
  say({
    status: { state, leader, storeTrouble, pendingRevokes, lastCheckAt, incidents: incidents.length, evacuations: evacuations.length },
  })
}
await pintail.stop()
process.exit()
