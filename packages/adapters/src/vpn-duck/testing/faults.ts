import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * What can be wrong with the service. `gone` is a 404 of its own, `error` is its 500 with a Russian text, `cut` JSON that ends too early, `silent`
 * carries the call out and never answers, `reset` carries it out and breaks the connection, `endless` never stops.
 */
export type FaultKind = 'html' | 'gone' | 'cut' | 'throttled' | 'overloaded' | 'error' | 'silent' | 'reset' | 'endless' | 'redirect'

export interface Fault {
  readonly kind: FaultKind
  /** Only calls whose path has this in it; default: all. */
  readonly path?: string
  /** Only this method. */
  readonly method?: string
  /** How often; default: until it is cleared. */
  readonly times?: number
  /** Seconds, of `throttled` and `overloaded`. */
  readonly retryAfter?: number | string
}

/** Those that do what was asked before they go wrong: the dangerous ones. */
const carriedOut: readonly FaultKind[] = ['silent', 'reset', 'cut']

const page = '<!doctype html><html><head><title>Шлюз</title></head><body><h1>Сервис временно недоступен</h1></body></html>'
const russian = 'Ошибка при обращении к базе данных: соединение с сервером потеряно, password=hunter2hunter2'

export class Faults {
  #set: { fault: Fault; left: number }[] = []

  set(fault: Fault | FaultKind): void {
    const given = typeof fault === 'string' ? { kind: fault } : fault
    this.#set.push({ fault: given, left: given.times ?? Number.POSITIVE_INFINITY })
  }

  clear(): void {
    this.#set = []
  }

  get active(): readonly Fault[] {
    return this.#set.map(({ fault }) => fault)
  }

  /** The fault for this call, which is used up by it. */
  take(method: string, path: string): Fault | null {
    const found = this.#set.find(
      ({ fault }) => (fault.path === undefined || path.includes(fault.path)) && (fault.method === undefined || fault.method === method),
    )
    if (!found) return null
    found.left--
    if (found.left <= 0) this.#set = this.#set.filter((one) => one !== found)
    return found.fault
  }
}

export const isCarriedOut = ({ kind }: Fault): boolean => carriedOut.includes(kind)

/** Answers as the fault has it; `proper` is what the service would have said. */
export function goWrong(fault: Fault, request: IncomingMessage, response: ServerResponse, proper: string): void {
  const { kind, retryAfter = 1 } = fault
  if (kind === 'silent') return
  if (kind === 'reset') request.socket.destroy()
  else if (kind === 'endless') pour(response)
  else {
    const [status, type, body, headers = {}] = answers[kind]({ proper, retryAfter: String(retryAfter), url: request.url ?? '/' })
    response.writeHead(status, { 'content-type': type, ...headers }).end(body)
  }
}

type Answer = readonly [status: number, type: string, body: string, headers?: Readonly<Record<string, string>>]

const answers: Readonly<
  Record<Exclude<FaultKind, 'silent' | 'reset' | 'endless'>, (with_: { proper: string; retryAfter: string; url: string }) => Answer>
> = {
  html: () => [200, 'text/html; charset=utf-8', page],
  gone: () => [404, 'application/json', JSON.stringify({ error: 'Активная конфигурация не найдена' })],
  cut: ({ proper }) => [200, 'application/json', proper.slice(0, Math.max(1, Math.floor(proper.length / 2)))],
  throttled: ({ retryAfter }) => [429, 'application/json', '{"error":"Too many requests"}', { 'retry-after': retryAfter }],
  overloaded: ({ retryAfter }) => [503, 'text/html', page, { 'retry-after': retryAfter }],
  error: () => [500, 'application/json', JSON.stringify({ error: russian })],
  redirect: ({ url }) => [302, 'text/plain', '', { location: url }],
}

function pour(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.write('{"servers":[')
  const chunk = `${'{"id":1},'.repeat(8000)}`
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  }
  response.on('drain', more)
  more()
}
