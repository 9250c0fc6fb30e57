// One engine of the cluster: `node lab/cluster/engine.ts '{…}'` runs until it is killed. On a line "status" of its standard
// input it says what it thinks of itself, on "sync" it compares all servers with the books and says what it has found. Every
// command is written into a file of its own before it is sent.
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { connect, type NatsConnection, type Payload } from '@nats-io/transport-node'
import { postgresAccess } from '@pintail/adapters/access'
import { natsMover, natsVantages, setUpNats } from '@pintail/adapters/nats'
import { postgresStores } from '@pintail/adapters/postgres'
import { type Command, parseCommand, type SyncPage } from '@pintail/adapters/regions'
import { createPintail, errorText, tcp } from '@pintail/core'
import { poolOn } from '../../packages/adapters/test/postgres.ts'
import type { EngineSetting, EngineStatus, Sent, SyncSaid } from './words.ts'

const { name, natsUrl, prefix, postgres, folder, policy, syncEveryMs } = JSON.parse(process.argv[2] ?? '{}') as EngineSetting
const say = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`)

const nats = noted(
  await connect({ servers: natsUrl.replace('nats://', ''), maxReconnectAttempts: -1, reconnectTimeWait: 100, waitOnFirstConnect: true }),
)

/** What goes out as a command is in the file before it leaves, so that also what a killed engine has sent is there. */
function noted(connection: NatsConnection): NatsConnection {
  const note = (subject: string, payload?: Payload): void => {
    if (!subject.startsWith(`${prefix}.cmd.`) || !(payload instanceof Uint8Array)) return
    // Whoever was killed in the middle of it has left a piece of a line.
    appendFileSync(join(folder, `sent-${name}.jsonl`), `\n${JSON.stringify(sentOf(parseCommand(payload)))}\n`)
  }
  for (const call of ['publish', 'request'] as const) {
    const real = connection[call].bind(connection) as (...all: unknown[]) => unknown
    Object.assign(connection, {
      [call]: (subject: string, payload?: Payload, options?: unknown) => {
        note(subject, payload)
        return real(subject, payload, options)
      },
    })
  }
  return connection
}

function sentOf({ id, type, serverId: server, connectionId: connection, token, epoch, payload }: Command): Sent {
  const about = { engine: name, id, type, server, connection, token, epoch }
  if (type !== 'access.sync') return about
  const { entries } = payload as unknown as SyncPage
  return { ...about, entries: entries.map((one) => [one.connectionId, one.token, one.epoch] as const) }
}

await setUpNats(nats, { prefix })
const pools = [poolOn({ port: postgres.port, max: 4 }), poolOn({ port: postgres.port, max: 8 })] as const
const { store, leases } = postgresStores({ pool: pools[0], schema: postgres.schema })
const access = postgresAccess({ pool: pools[1], schema: postgres.schema })
const mover = natsMover({ nats, access, prefix, syncEveryMs, timeoutMs: 5000, leads: () => leads() })
const vantages = natsVantages({ nats, prefix, servers: access, refreshMs: 1000 })
const pintail = createPintail({ registry: access, mover, probers: [tcp()], observations: vantages, store, leases, policy })
const leads = (): number | null => (pintail.health().state === 'leading' ? (pintail.health().leader?.token ?? null) : null)

pintail.on('*', ({ type, at, data }) => {
  if (/^(leader|incident|evacuation|warning)/.test(type)) say({ type, at, data })
})
vantages.follow(pintail)
await pintail.start()
say({ type: 'ready' })

for await (const word of createInterface({ input: process.stdin })) {
  if (word === 'status') say({ status: status() })
  else if (word === 'sync') say({ sync: await sync() })
}

function status(): EngineStatus {
  const { state, leader, incidents, evacuations, pendingRevokes, servers } = pintail.status()
  return {
    state,
    token: leader?.token ?? null,
    incidents: incidents.length,
    evacuations: evacuations.length,
    pendingRevokes,
    down: servers.filter(({ verdict }) => verdict.verdict === 'down').map(({ serverId }) => serverId),
    unknown: servers.filter(({ verdict }) => verdict.verdict === 'unknown').length,
    mover: { ...mover.figures() },
  }
}

async function sync(): Promise<SyncSaid | { readonly error: string }> {
  try {
    const reports = await mover.sync()
    const drift = reports.reduce((sum, { missing, changed, extra }) => sum + missing + changed + extra, 0)
    return { servers: reports.length, applied: reports.filter((one) => one.status === 'applied').length, drift }
  } catch (error) {
    return { error: errorText(error) }
  }
}
