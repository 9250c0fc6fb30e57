import type { Clock, ServerRegistry } from '../ports.ts'
import type { Server, ServerId } from '../vocabulary.ts'
import { around, ask, check, tell } from './port.ts'

export interface LastKnownGoodOptions {
  /** A remembered listing older than this is not given, milliseconds, 1–86 400 000. Default 600 000 (ten minutes). */
  readonly maxAgeMs?: number
  /** Told each time that a remembered listing is given instead of a failure; `serverId` null: the list of servers. */
  readonly onStale?: (event: { readonly serverId: ServerId | null; readonly ageMs: number; readonly error: unknown }) => unknown
  readonly clock?: Pick<Clock, 'now'>
}

const machine: Pick<Clock, 'now'> = { now: () => performance.timeOrigin + performance.now() }

/**
 * The same registry, whose listings answer with their last success for a while when it fails. With this Pintail goes on
 * judging and moving by the remembered list; without it, it keeps the list too, and judges nobody by it until the
 * registry is back. `stale` is true while any newest answer was a remembered one.
 *
 * An empty answer is passed on and never remembered: it also forgets what was there before. So a failure after it stays
 * a failure, and neither an empty list nor users who have left come back from memory as a fresh answer.
 * @throws PintailError `invalid_argument`
 */
export function lastKnownGood<T extends ServerRegistry>(registry: T, options: LastKnownGoodOptions = {}): T & { readonly stale: boolean } {
  const { maxAgeMs = 600_000, onStale, clock = machine } = options
  check('maxAgeMs', maxAgeMs, 86_400_000)
  // By server, null for the list of servers. `at` is when the listing was begun: nothing in it is newer.
  const kept = new Map<ServerId | null, { readonly rows: readonly unknown[]; readonly at: number; stale: boolean }>()
  const isYoung = ({ at }: { readonly at: number }) => clock.now() - at <= maxAgeMs
  type Told = T & { readonly stale: boolean }
  return around<Told>(
    registry as Told,
    () => registry as Told,
    async (call) => {
      if (call.method !== 'listServers' && call.method !== 'listConnections') return ask(registry, call)
      const key = call.method === 'listServers' ? null : (call.args[0] as Server).id
      const at = clock.now()
      try {
        const rows = (await ask(registry, call)) as readonly unknown[]
        kept.delete(key)
        if (rows.length > 0) kept.set(key, { rows, at, stale: false })
        // About the oldest goes first, so that servers that are gone do not pile up.
        for (const [oldest, entry] of kept) {
          if (isYoung(entry)) break
          kept.delete(oldest)
        }
        return rows
      } catch (error) {
        const last = kept.get(key)
        if (!last || !isYoung(last) || call.signal.aborted) throw error
        last.stale = true
        tell(onStale, { serverId: key, ageMs: clock.now() - last.at, error })
        return last.rows
      }
    },
    (owner, key) => (key === 'stale' ? [...kept.values()].some((entry) => entry.stale && isYoung(entry)) : Reflect.get(owner, key)),
  )
}
