import type { StoreKind } from '@pintail/core'
import { createFleet, type Fleet } from '@pintail/core/testing'
import pino from 'pino'
import { type Accounts, createAccounts } from '../src/accounts/accounts.ts'
import { Audit } from '../src/accounts/audit.ts'
import { createFigures } from '../src/figures.ts'
import { createHttp, type Http } from '../src/http.ts'
import { Credentials } from './credentials.ts'

export interface Line {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

export interface Access extends Http, AsyncDisposable {
  readonly fleet: Fleet
  readonly credentials: Credentials
  readonly lines: readonly Line[]
  readonly log: () => string
  /** Ids of what there is: a suggested and a failed migration, a suggested evacuation, an incident and its decision. */
  readonly ids: Readonly<Record<'suggested' | 'failed' | 'evacuation' | 'incident' | 'decision', string>>
  /** One request, while virtual time goes on. */
  ask(method: string, url: string, headers?: Readonly<Record<string, string>>, body?: unknown): Promise<Answer>
  /** The same while virtual time stands still, for what is refused at once. */
  knock(method: string, url: string, headers?: Readonly<Record<string, string>>, body?: unknown): Promise<Answer>
  /** All that the store has, and where everybody is. */
  book(): Promise<string>
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into it.
  readonly body: any
}

export interface AccessOptions {
  readonly accounts?: (credentials: Credentials, logger: pino.Logger) => Accounts
  readonly docs?: boolean
  readonly guardMetrics?: boolean
  readonly refusedPerMinute?: number
  readonly now?: () => number
  /** Nothing has happened yet. */
  readonly isQuiet?: true
}

/** The service's app over a fleet in virtual time, with its accounts and its log. */
export async function access(options: AccessOptions = {}): Promise<Access> {
  const { docs = false, guardMetrics = false, refusedPerMinute = 1_000_000, now = Date.now, isQuiet = false } = options
  const credentials = new Credentials(now)
  const lines: Line[] = []
  const logger = pino({ base: null, formatters: { level: (level) => ({ level }) } }, { write: (line) => void lines.push(JSON.parse(line)) })
  const fleet = await createFleet({
    servers: 6,
    connections: 2,
    policy: { mode: 'suggest', migration: { moveTries: 1, maxRetries: 0, cooldownMs: 0 } },
    replace: (parts) => ({ mover: { ...parts.mover, verify: async ({ from }) => from.id !== 's3' } }),
  })
  const accounts = options.accounts?.(credentials, logger) ?? createAccounts(credentials.settings, logger, now)
  const figures = createFigures(0)
  const { app, gate } = await createHttp({
    engine: fleet.pintail,
    logger,
    mode: 'suggest',
    version: '1.2.3',
    accounts,
    audit: new Audit({ logger }),
    figures,
    ...{ docs, guardMetrics, refusedPerMinute },
  })
  await fleet.advance(20_000)
  const made = isQuiet ? { suggested: '', failed: '', evacuation: '', incident: '', decision: '' } : await happen(fleet)
  const ask: Access['ask'] = async (method, url, headers = {}, body = undefined) => {
    const asked = app.inject({
      method: method as 'GET',
      url,
      headers,
      ...(body !== undefined && { payload: body as object }),
      payloadAsStream: true,
    })
    const answer = await during(fleet, asked)
    const stream = answer.stream()
    let text = ''
    if (String(answer.headers['content-type']).startsWith('text/event-stream')) stream.destroy()
    else for await (const piece of stream) text += piece
    const isJson = String(answer.headers['content-type']).includes('json')
    return { status: answer.statusCode, headers: answer.headers, text, body: isJson ? JSON.parse(text) : text }
  }
  return {
    ...{ app, gate, fleet, credentials, lines, ids: made, ask },
    async knock(method, url, headers = {}, body = undefined) {
      const asked = { method: method as 'GET', url, headers, ...(body !== undefined && { payload: body as object }) }
      const answer = await app.inject(asked)
      return { status: answer.statusCode, headers: answer.headers, text: answer.body, body: answer.json() }
    },
    log: () => lines.map((line) => JSON.stringify(line)).join('\n'),
    book: () => bookOf(fleet),
    async [Symbol.asyncDispose]() {
      await app.close()
      await fleet.stop()
      figures.close()
      credentials[Symbol.dispose]()
    },
  }
}

async function during<T>(fleet: Fleet, work: Promise<T>): Promise<T> {
  let isOver = false
  const over = work.finally(() => {
    isOver = true
  })
  while (!isOver) await fleet.advance(10)
  return over
}

async function happen(fleet: Fleet): Promise<Access['ids']> {
  const { migrations, evacuations, incidents } = fleet.pintail
  const failed = await during(fleet, migrations.create({ serverId: 's3', toServerId: 's4', autoApprove: true }))
  await fleet.advance(10_000)
  await during(fleet, evacuations.cancel(failed.evacuationId))
  await fleet.advance(10_000)
  const suggested = await during(fleet, migrations.create({ serverId: 's1', toServerId: 's2', autoApprove: false }))
  fleet.kill('s6')
  await fleet.advance(60_000)
  const [incident] = await during(fleet, incidents.list())
  const [evacuation] = (await during(fleet, evacuations.list())).filter(({ reason }) => reason === 'server-down')
  if (!incident || !evacuation) throw new Error('nothing has happened')
  return {
    suggested: suggested.id,
    failed: failed.id,
    evacuation: evacuation.id,
    incident: incident.id,
    decision: incident.decisionId ?? '',
  }
}

const kinds = [
  'incident',
  'evacuation',
  'migration',
  'move',
  'decision',
  'revoke',
  'word',
  'cursor',
] as const satisfies readonly StoreKind[]

async function bookOf({ store, registry }: Fleet): Promise<string> {
  const ctx = { signal: new AbortController().signal }
  const records = await Promise.all(kinds.map(async (kind) => [kind, await store.list(kind, {}, ctx)]))
  const { entries, lastSeq } = await store.readJournal({ after: 0, limit: 100_000 }, ctx)
  const homes = [1, 2, 3, 4, 5, 6].map((index) => registry.on(`s${index}`))
  return JSON.stringify({ records, entries, lastSeq, homes, servers: await registry.listServers(ctx) })
}
