import { PintailError } from '../errors.ts'

/** Calls without any effect: they may be repeated, or asked of somebody else, whatever went wrong. */
export const reads: ReadonlySet<string> = new Set(['listServers', 'listConnections', 'locate', 'current', 'verify'])
const streams: ReadonlySet<PropertyKey> = new Set(['watch', 'samples', 'probeMany'])

export interface Call {
  readonly method: string
  readonly args: readonly unknown[]
  readonly signal: AbortSignal
}

/**
 * The port of the moment with `through` around each call to the outside, which is one whose last argument is a
 * `CallContext`. Everything else is the port's own: streams, properties, getters, missing optional methods, and `this`.
 */
export function around<T extends object>(
  port: T,
  pick: () => T,
  through: (call: Call) => Promise<unknown>,
  read: (owner: T, key: PropertyKey) => unknown = Reflect.get,
): T {
  const get = (key: PropertyKey): unknown => {
    const owner = pick()
    const value = read(owner, key)
    if (typeof value !== 'function' || key === 'constructor') return value
    return (...args: unknown[]) => {
      const signal = (args.at(-1) as { signal?: AbortSignal } | null | undefined)?.signal
      const isOutside = typeof key === 'string' && !streams.has(key) && typeof signal?.addEventListener === 'function'
      return isOutside ? through({ method: key, args, signal }) : Reflect.apply(value, owner, args)
    }
  }
  // Not a proxy of the port itself: of a frozen port that would have to hand out the original methods.
  return new Proxy(Object.create(port) as T, {
    get: (_, key) => get(key),
    set: (_, key, value) => Reflect.set(pick(), key, value),
    // So that `{ ...port }` has what the port has.
    ownKeys: () => Reflect.ownKeys(pick()),
    getOwnPropertyDescriptor: (_, key) =>
      Object.hasOwn(pick(), key) ? { value: get(key), enumerable: true, configurable: true, writable: true } : undefined,
  })
}

/** Calls a method of a port. A listing that is no list, or whose pages break off in the middle, fails as a whole. */
export async function ask(port: object, { method, args }: Call): Promise<unknown> {
  const value: unknown = Reflect.get(port, method)
  if (typeof value !== 'function') throw new PintailError('unavailable', `this port has no ${method}`)
  const answer: unknown = Reflect.apply(value, port, args)
  // Some query builders are both: what can be awaited is one answer.
  const isPaged = typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer && !('then' in answer)
  if (!isPaged && method !== 'listServers' && method !== 'listConnections') return answer
  const rows: unknown[] = []
  for await (const page of isPaged ? (answer as AsyncIterable<unknown>) : [answer]) {
    if (!Array.isArray(page)) throw new PintailError('unavailable', `${method} did not give a list of rows`)
    for (const row of page) rows.push(row)
    if (rows.length > 10_000_000) throw new PintailError('unavailable', `${method} does not end`)
  }
  return rows
}

/** Tells the host; its own mistake must not become ours. */
export function tell<T>(listener: ((event: T) => unknown) | undefined, event: T): void {
  new Promise((resolve) => resolve(listener?.(event))).catch(() => {})
}

/** @throws PintailError `invalid_argument` */
export function check(name: string, value: number, high: number): void {
  if (!Number.isInteger(value) || value < 1 || value > high)
    throw new PintailError('invalid_argument', `${name} must be a whole number from 1 to ${high}, not ${value}`)
}
