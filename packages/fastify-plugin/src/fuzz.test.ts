import type { Readable } from 'node:stream'
import fastifySwagger from '@fastify/swagger'
import { seededRandom } from '@pintail/core/testing'
import type { InjectOptions } from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { type Api, api } from '../test/api.ts'
import { undocumented } from '../test/document.ts'
import { generate, pick, type Schema } from '../test/generate.ts'

// Requests made from the OpenAPI document, good and bad, against a fleet to which things happen. How many, and from which
// seed on: PINTAIL_REQUESTS=20000 PINTAIL_SEED=1 npm exec -- vitest run packages/fastify-plugin/src/fuzz.test.ts

const requests = Number(process.env.PINTAIL_REQUESTS ?? 600)
const firstSeed = Number(process.env.PINTAIL_SEED ?? 1)
const inOneWorld = 1000
const methods = ['get', 'post', 'patch', 'delete'] as const

const secrets = ['hunter2', 'of an adapter']
/** What an adapter said stands in the record of a failed migration, for people; a refusal never repeats it. */
const adapters = ['/var/lib/vpn', '10.66.0.9']
/** A stack, a path of a file, a name of a package's folder. */
const leaks = /\n\s+at |node_modules|file:\/\/|\.[cm]?[jt]s:\d+|\/(?:home|work|usr|root|tmp|var|etc)\//

interface Operation {
  readonly method: (typeof methods)[number]
  readonly path: string
  readonly parameters: readonly { readonly in: string; readonly name: string; readonly schema: Schema }[]
  readonly body: Schema | null
}

function operationsOf(document: { readonly paths?: Record<string, Record<string, unknown>> }): readonly Operation[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, at]) =>
    methods.flatMap((method) => {
      const found = at[method] as
        | { parameters?: Operation['parameters']; requestBody?: { content: Record<string, { schema: Schema }> } }
        | undefined
      if (!found) return []
      const body = Object.values(found.requestBody?.content ?? {})[0]?.schema ?? null
      return [{ method, path, parameters: found.parameters ?? [], body }]
    }),
  )
}

const closing: (() => Promise<unknown>)[] = []
const rejected: unknown[] = []
const onRejection = (error: unknown) => void rejected.push(error)
process.on('unhandledRejection', onRejection)
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** A fleet whose adapters fail now and then, and say too much when they do. */
async function world(seed: number): Promise<{ readonly made: Api; readonly random: () => number }> {
  const random = seededRandom(seed)
  const made = await api({
    servers: 6,
    seed,
    connections: Object.fromEntries(
      ['s1', 's2', 's3', 's4'].map((id) => [id, [1, 2, 3].map((index) => ({ id: `${id}-c${index}`, meta: { key: 'of an adapter' } }))]),
    ),
    policy: { mode: seed % 2 === 0 ? 'auto' : 'suggest', migration: { maxRetries: 1, backoffMs: 100, cooldownMs: 0 } },
    before: (app) => app.register(fastifySwagger, { openapi: { openapi: '3.1.0', info: { title: 'x', version: '1' } } }),
    replace: ({ mover }) => ({
      mover: {
        ...mover,
        move: (move, ctx) =>
          random() < 0.2 ? Promise.reject(new Error('EACCES /var/lib/vpn/key of 10.66.0.9: password=hunter2')) : mover.move(move, ctx),
      },
    }),
  })
  return { made, random }
}

const asText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

function requestOf(
  operation: Operation,
  random: () => number,
  ids: readonly string[],
  etags: readonly string[],
): InjectOptions & { readonly path: string } {
  const source = { random, ids }
  let path = operation.path
  const query: string[] = []
  const headers: Record<string, string> = {}
  for (const { in: where, name, schema } of operation.parameters) {
    if (where === 'path')
      path = path.replace(
        `{${name}}`,
        encodeURIComponent([...asText(generate(schema, source)).toWellFormed()].slice(0, 20).join('')) || 'x',
      )
    if (where === 'query' && random() < 0.5) query.push(`${name}=${encodeURIComponent(asText(generate(schema, source)).toWellFormed())}`)
    if (name === 'if-match' && random() < 0.9) headers[name] = pick(random, ['*', '*', '"x"', 'W/"suggested"', '', ...etags])
    if (name === 'idempotency-key' && random() < 0.2) headers[name] = pick(random, ['a', 'b', 'c', '', 'x y'])
    if (name === 'last-event-id' && random() < 0.5) headers[name] = pick(random, ['0', '5', '99999', 'x', '-1'])
  }
  if (random() < 0.05) query.push('nonsense=1')
  const url = `${path}${query.length > 0 ? `?${query.join('&')}` : ''}`
  const sends = operation.method !== 'get' && (operation.body ? random() < 0.95 : random() < 0.1)
  if (!sends) return { method: operation.method, url, headers, path: url }
  headers['content-type'] = pick(random, [...Array(12).fill('application/json'), 'application/merge-patch+json', 'text/plain', ''])
  // Made up of single values, a request that moves somebody is as good as never meant in earnest.
  const isMeant = operation.method === 'post' && operation.path.endsWith('/migrations') && random() < 0.5
  const meant = { server_id: pick(random, ['s1', 's2', 's3']), auto_approve: random() < 0.5 }
  const text = JSON.stringify(isMeant ? meant : generate(operation.body ?? {}, source)) ?? ''
  const payload = random() < 0.03 ? text.slice(0, -1) : text
  return { method: operation.method, url, headers, payload, path: url }
}

/** Makes something happen to the fleet between two requests. */
function stir({ fleet }: Api, random: () => number): void {
  const server = `s${1 + Math.floor(random() * 6)}`
  if (random() < 0.02) fleet.kill(server)
  if (random() < 0.04) fleet.revive(server)
}

test(`${requests} requests made from the document: no 5xx, nothing leaks, nothing is left unhandled`, async () => {
  const seen = new Map<string, number>()
  for (let done = 0, seed = firstSeed; done < requests; seed++) {
    const { made, random } = await world(seed)
    closing.push(() => made.close())
    await made.app.ready()
    const operations = operationsOf(made.app.swagger() as never)
    expect(operations.length).toBeGreaterThan(30)
    const ids = ['s1', 's2', 's3', 's1-c1', 's2-c1']
    const etags: string[] = []
    for (let index = 0; index < inOneWorld && done < requests; index++, done++) {
      const { path, ...request } = requestOf(pick(random, operations), random, ids, etags)
      const label = `seed ${seed}, request ${index}: ${request.method} ${path} ${JSON.stringify(request.payload ?? null).slice(0, 300)}`
      const answer = await ask(made, request)
      seen.set(`${answer.statusCode}`, (seen.get(`${answer.statusCode}`) ?? 0) + 1)
      check(label, String(request.method).toUpperCase(), path, answer)
      for (const [, id] of answer.body.matchAll(/"(?:id|evacuation_id|incident_id|decision_id)":"([\w-]{36})"/g))
        if (id && !ids.includes(id)) ids.push(id)
      if (ids.length > 200) ids.splice(5, 100)
      if (answer.etag) etags.splice(etags.length > 20 ? 0 : etags.length, etags.length > 20 ? 1 : 0, answer.etag)
      stir(made, random)
      if (random() < 0.1) await made.fleet.advance(random() * 3000)
    }
    // After all that it leads, and answers.
    expect((await made.ask('GET', '/status')).body.state).toBe('leading')
    for (const close of closing.splice(0)) await close()
  }
  expect(rejected).toEqual([])
  // Not only refusals: what was asked has been done, too.
  for (const status of ['200', '202', '400', '404', '409', '412', '428', ...(requests >= 5000 ? ['201'] : [])])
    if (requests >= 600) expect([status, seen.has(status)]).toEqual([status, true])
  process.off('unhandledRejection', onRejection)
}, 1_200_000)

interface Answered {
  readonly statusCode: number
  readonly contentType: string
  readonly etag: string | undefined
  readonly body: string
}

async function ask({ app, fleet }: Api, request: InjectOptions): Promise<Answered> {
  const asked = app.inject({ ...request, payloadAsStream: true })
  let isOver = false
  const settled = asked.finally(() => {
    isOver = true
  })
  while (!isOver) await fleet.advance(10)
  const { statusCode, headers, stream } = (await settled) as unknown as {
    statusCode: number
    headers: Record<string, string>
    stream(): Readable
  }
  const isStream = headers['content-type']?.startsWith('text/event-stream')
  let body = ''
  const readable = stream()
  readable.on('data', (piece) => {
    body += piece
  })
  const over = new Promise((resolve) => readable.once('close', resolve).once('end', resolve))
  // A live stream has no end: its first message is enough. At the end of the journal it has nothing to say by itself.
  for (let turn = 0; isStream && !body.includes('\ndata: ') && turn < 200; turn++) {
    await fleet.pintail[turn % 2 === 0 ? 'cordon' : 'uncordon']('s6').catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  if (isStream) readable.destroy()
  else await over
  return { statusCode, contentType: headers['content-type'] ?? '', etag: headers.etag, body }
}

function check(label: string, method: string, path: string, { statusCode, contentType, body }: Answered): void {
  if (statusCode >= 500) throw new Error(`${label}: ${statusCode} ${body.slice(0, 500)}`)
  const text = adapters.reduce((rest, said) => (statusCode < 400 ? rest.replaceAll(said, '') : rest), body)
  const leak = leaks.exec(text)?.[0] ?? [...secrets, ...adapters].find((secret) => text.includes(secret))
  if (leak !== undefined) throw new Error(`${label}: leaks ${JSON.stringify(leak)} in ${body.slice(0, 2000)}`)
  const isJson = contentType.includes('json')
  const wrong = undocumented({
    method,
    path: path.replace(/^\/pintail/, ''),
    status: statusCode,
    contentType,
    body: isJson ? JSON.parse(body) : body,
  })
  if (wrong !== null) throw new Error(`${label}: ${wrong}`)
}
