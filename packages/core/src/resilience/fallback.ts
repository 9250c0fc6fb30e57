import { isPintailError, PintailError } from '../errors.ts'
import { around, ask, reads, tell } from './port.ts'

export type FallbackMode = 'primary' | 'primary-with-fallback' | 'secondary'

export interface FallbackOptions {
  /** Asked before each call, so that a feature flag switches while the engine runs. Must not throw. */
  readonly mode: () => FallbackMode
  /** Told each time that the secondary is asked because the primary failed. */
  readonly onFallback?: (event: { readonly method: string; readonly error: unknown }) => unknown
}

// What a port promises about itself, the weakest word first, and what silence means.
const promises: ReadonlyMap<PropertyKey, { readonly words: readonly string[]; readonly silence: string }> = new Map([
  ['fencing', { words: ['none', 'enforced'], silence: 'none' }],
  ['confirmation', { words: ['accepted', 'applied', 'seen'], silence: 'accepted' }],
  ['granularity', { words: ['server', 'connection'], silence: 'connection' }],
  ['coverage', { words: ['active', 'assigned'], silence: 'assigned' }],
])

const modes: ReadonlySet<string> = new Set<FallbackMode>(['primary', 'primary-with-fallback', 'secondary'])
const remedy = `Let mode() give one of: ${[...modes].join(', ')}.`

/**
 * Two ways to the same books as one port, e.g. a panel's API and its database; both must know a `move.key` that went the
 * other way. Not for two stores: those are two books.
 *
 * Only a throw falls back (or a listing that is no list), never an empty or odd answer: an adapter that turns its errors
 * into `null` or `[]` disables this, and worse. Reads (`listServers`, `listConnections`, `locate`, `verify`, `current`,
 * `probe`) fall back after any throw; every other call only after `unavailable`, which says that nothing happened: a write
 * that may have arrived is never sent a second way, and `rejected` is an answer. After an abort nothing falls back, and
 * streams never do.
 *
 * Optional methods are those of the port in charge. Of `fencing`, `confirmation`, `granularity` and `coverage` the weaker
 * word of the two holds in every mode, because the mode may change between asking and acting.
 * @example mover: withFallback<ConnectionMover>(viaApi, viaDatabase, { mode: () => flags.moverMode })
 */
export function withFallback<T extends object>(primary: T, secondary: T, { mode, onFallback }: FallbackOptions): T {
  return around(
    primary,
    () => (mode() === 'secondary' ? secondary : primary),
    async (call) => {
      const now = mode()
      if (!modes.has(now)) throw new PintailError('unavailable', `there is no fallback mode ${now}`, { remedy })
      try {
        return await ask(now === 'secondary' ? secondary : primary, call)
      } catch (error) {
        const safe = reads.has(call.method) || call.method === 'probe' || isPintailError(error, 'unavailable')
        const other = now === 'primary-with-fallback' && typeof Reflect.get(secondary, call.method) === 'function'
        if (!safe || !other || call.signal.aborted) throw error
        tell(onFallback, { method: call.method, error })
        return ask(secondary, call)
      }
    },
    (owner, key) => {
      const promise = promises.get(key)
      if (!promise) return Reflect.get(owner, key)
      const words: unknown[] = [primary, secondary].map((port) => Reflect.get(port, key) ?? promise.silence)
      return promise.words.find((word) => words.includes(word))
    },
  )
}
