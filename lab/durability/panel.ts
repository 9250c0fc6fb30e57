// The mover's own book, in a process of its own: `node lab/durability/panel.ts '{…}'` says the port that it has, and
// then answers words on its standard input. It is the registry, the prober's truth and the mover's panel at once, because
// what is really so must not be kept by those who are killed.
import { createServer, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import type { Located, ServerStatus } from '@pintail/core'
import { seededRandom } from '@pintail/core/testing'
import type { Answer, Book, Call, Change, Entry, MoveOnWire, PanelSetting, Word } from './words.ts'

const { host, servers, users: count, capacity, latencyMs, seed } = JSON.parse(process.argv[2] ?? '{}') as PanelSetting
const random = seededRandom(seed)
const ids = Array.from({ length: servers }, (_, index) => `s${index + 1}`)
const statuses: Record<string, ServerStatus> = Object.fromEntries(ids.map((id) => [id, 'online']))
const dead = new Set<string>()
const users = new Map(Array.from({ length: count }, (_, index) => [`c${index}`, { home: 's1', grants: new Set(['s1']) }]))
const done = new Set<string>()
const newest = new Map<string, readonly [token: number, epoch: number]>()
const entries: Entry[] = []
const probes: Record<string, { at: number; count: number }> = {}
let highest = 0
let effects = 0
let moves = 0
let hold = Infinity
let held = Promise.withResolvers<void>()
let waiting: { readonly effects: number; readonly answer: () => void }[] = []

class Refusal extends Error {
  readonly code: 'fenced' | 'rejected'
  constructor(code: 'fenced' | 'rejected', message: string) {
    super(message)
    this.code = code
  }
}

const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** What is older than what was seen is refused, by a panel that can do that. */
function admit({ connectionId, fencingToken, epoch }: MoveOnWire): void {
  if (fencingToken < highest) throw new Refusal('fenced', `token ${fencingToken} is older than ${highest}`)
  highest = fencingToken
  const [token, seen] = newest.get(connectionId) ?? [0, 0]
  if (fencingToken === token && epoch < seen) throw new Refusal('fenced', `epoch ${epoch} is older than ${seen}`)
  newest.set(connectionId, [fencingToken, epoch])
}

/** The effect on the book; false: there was none to have. */
function effect(what: Change, { key, connectionId, from, to }: MoveOnWire): boolean {
  const user = users.get(connectionId)
  if (!user) throw new Refusal('rejected', `there is no connection ${connectionId}`)
  if (what === 'move') {
    // One effect for one key; and whom somebody has brought elsewhere meanwhile stays there.
    if (user.home !== to && (user.home !== from || done.has(key))) throw new Refusal('rejected', `it is on ${user.home} now`)
    if (done.has(key) || user.home === to) return false
    done.add(key)
    user.home = to
    user.grants.add(to)
    return true
  }
  if (what === 'complete') return user.home !== from && user.grants.delete(from)
  const had = user.grants.delete(to)
  if (user.home === to) {
    user.home = from
    user.grants.add(from)
    return true
  }
  return had
}

async function change(call: Extract<Call, { what: Change }>): Promise<unknown> {
  const { engine, what, move, fencing, calledAt, leaseUntil } = call
  const { key, connectionId, from, to, fencingToken: token, epoch } = move
  const arrivedAt = Date.now()
  const about = { engine, what, key, connectionId, from, to, token, epoch, calledAt, leaseUntil, arrivedAt }
  const before = random() * latencyMs
  await rest(before)
  while (what === 'move' && moves >= hold) await held.promise
  const note = (result: Entry['result']) => entries.push({ ...about, effectAt: Date.now(), result })
  try {
    if (fencing === 'enforced') admit(move)
    const isEffective = effect(what, move)
    note(isEffective ? 'effective' : 'repeated')
    if (isEffective) effects++
    if (isEffective && what === 'move') moves++
  } catch (error) {
    if (error instanceof Refusal) note(error.code)
    throw error
  }
  for (const { answer } of waiting.filter((one) => one.effects <= effects)) answer()
  waiting = waiting.filter((one) => one.effects > effects)
  await rest(latencyMs - before)
  return null
}

async function answer(call: Call): Promise<unknown> {
  switch (call.what) {
    case 'servers':
      return ids.map((id, index) => ({ id, host: `192.0.2.${index + 1}`, capacity, status: statuses[id] }))
    case 'connections':
      return [...users].flatMap(([id, { home }]) => (home === call.server ? [{ id, userId: `u-${id}` }] : []))
    case 'probe':
      probes[call.engine] = { at: Date.now(), count: (probes[call.engine]?.count ?? 0) + 1 }
      return !dead.has(call.server)
    case 'status':
      statuses[call.server] = call.status
      return null
    case 'locate':
      return located(call.move)
    case 'verify':
      return users.get(call.move.connectionId)?.grants.has(call.move.to) === true
    case 'move':
    case 'complete':
    case 'rollback':
      return change(call)
  }
}

function located({ connectionId, from, to }: MoveOnWire): Located {
  const user = users.get(connectionId)
  if (user?.home === to) return 'on_target'
  return user?.home === from ? 'on_source' : 'absent'
}

async function bodyOf(request: IncomingMessage): Promise<Call> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return JSON.parse(text)
}

const server = createServer(async (request, response) => {
  const say = (said: Answer) => response.end(JSON.stringify(said))
  try {
    say({ ok: true, value: await answer(await bodyOf(request)) })
  } catch (error) {
    // Who was killed while he asked hears nothing; what he asked for is done all the same.
    say({ ok: false, code: error instanceof Refusal ? error.code : 'internal', message: String(error) })
  }
})
// A client that stands still for a minute finds its connections as they were.
server.keepAliveTimeout = 600_000
server.listen({ host, port: 0, backlog: 4096 }, () => {
  const address = server.address()
  process.stdout.write(`${JSON.stringify({ id: 0, value: { port: typeof address === 'object' ? address?.port : 0 } })}\n`)
})

const book = (): Book => ({
  entries,
  users: Object.fromEntries([...users].map(([id, { home, grants }]) => [id, { home, grants: [...grants] }])),
  statuses,
  probes,
})

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...word } = JSON.parse(line) as Word & { readonly id: number }
  const say = (value: unknown) => process.stdout.write(`${JSON.stringify({ id, value })}\n`)
  if (word.do === 'kill') {
    dead.add(word.server)
    say(null)
  } else if (word.do === 'hold') {
    hold = word.moves
    say(null)
  } else if (word.do === 'go') {
    hold = Infinity
    held.resolve()
    held = Promise.withResolvers()
    say(null)
  } else if (word.do === 'book') say(book())
  else if (word.do === 'left') say([...users.values()].filter(({ home }) => dead.has(home)).length)
  else if (effects >= word.effects) say(effects)
  else waiting.push({ effects: word.effects, answer: () => say(effects) })
}
process.exit()
