/** `--once`: one outage from the kill to the recovery, and whether all of it went as it must. */
import { setTimeout as pause } from 'node:timers/promises'
import type { App } from './app.ts'
import type { Outage } from './outages.ts'
import { count, type Line } from './text.ts'
import type { Books } from './world.ts'

/** The server that dies, while it has users. */
const first = 'ams-1'
/** Generous: on an idle machine each step takes a second or two. A busy one must not fail by its own slowness. */
const stepMs = 120_000

export interface Ending {
  readonly outage: Outage | undefined
  readonly cause: string
  readonly checks: readonly { readonly ok: boolean; readonly text: string }[]
}

/** @throws the signal's reason when it fires */
export async function runOnce(app: App, signal: AbortSignal): Promise<Ending> {
  const { world, pintail, outages } = app
  const victim = victimOf(world)
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const deadline = performance.now() + stepMs
    while (!holds()) {
      if (performance.now() > deadline) throw new StepFailed(`${what} within ${stepMs / 1000} s`)
      await pause(25, undefined, { signal })
    }
  }
  // With --durable there are those of earlier runs.
  const over = new Set(outages.list.filter(({ recoveredAt }) => recoveredAt !== null))
  const outage = (): Outage | undefined => outages.list.find((one) => one.server === victim && !over.has(one))
  let cause = 'killed'
  let trouble: string | null = null
  try {
    if (world.alive(victim)) {
      await until('all servers answer', () => pintail.status().counts.up === world.books.servers.size)
      app.note('ready', 'good', `all ${world.books.servers.size} servers answer`)
      await pause(1000, undefined, { signal })
      app.kill(victim)
    } else app.note('goes on', 'busy', `${victim} is dead since an earlier run; ${count(world.books.homes(victim).length, 'user')} on it`)
    await until('the dead server is found', () => outage() !== undefined)
    cause = pintail.status().servers.find(({ serverId }) => serverId === victim)?.lastSample?.failure?.detail ?? cause
    await until('the evacuation is planned', () => outage()?.evacuationId !== null)
    if (outage()?.awaitsApproval) {
      await pause(1000, undefined, { signal })
      await app.approve()
    }
    await until('the evacuation ends', () => outage()?.endedAt !== null)
    await until('the old grants are owed', () => pintail.status().pendingRevokes > 0)
    await pause(1000, undefined, { signal })
    await app.revive(victim)
    await until('the server is back', () => outage()?.recoveredAt !== null)
    await until('the old grants are taken back', () => pintail.status().pendingRevokes === 0)
    // The last of them are still on their way to the listeners.
    await pause(200, undefined, { signal })
    app.flush()
  } catch (error) {
    if (signal.aborted || !(error instanceof StepFailed)) throw error
    trouble = error.message
  }
  return { outage: outage(), cause, checks: checksOf(world.books, trouble, victim) }
}

/** With --durable a killed run may have left one dead, and one that is back has nobody any more. */
function victimOf({ books, alive }: App['world']): string {
  const ids = [...books.servers.keys()]
  const fullest = ids.toSorted((a, b) => books.homes(b).length - books.homes(a).length)[0] ?? first
  return ids.find((id) => !alive(id)) ?? (books.homes(first).length > 0 ? first : fullest)
}

class StepFailed extends Error {}

/** What must hold at the end, by the provider's own books. */
export function checksOf(books: Books, trouble: string | null, victim = first): Ending['checks'] {
  const left = books.homes(victim).length
  const overfull = [...books.servers.values()].filter(({ id, capacity }) => books.homes(id).length > capacity).map(({ id }) => id)
  const status = books.servers.get(victim)?.status
  const grants = [...books.users.values()].map(({ id, home }) => {
    const on = [...books.grants].flatMap(([server, users]) => (users.has(id) ? server : []))
    return on.length === 1 && on[0] === home
  })
  const wrong = grants.filter((good) => !good).length
  return [
    ...(trouble === null ? [] : [{ ok: false, text: `not so: ${trouble}` }]),
    { ok: left === 0, text: left === 0 ? `nobody is left on ${victim}` : `${count(left, 'user')} left on ${victim}` },
    { ok: overfull.length === 0, text: overfull.length === 0 ? 'no server is over its capacity' : `over capacity: ${overfull.join(', ')}` },
    {
      ok: wrong === 0,
      text: wrong === 0 ? 'every user has access to exactly one server' : `${count(wrong, 'user')} with no or two accesses`,
    },
    { ok: status === 'online', text: `${victim} is ${status} in the books` },
  ]
}

export function checkLines({ checks }: Ending): Line[] {
  return checks.map(({ ok, text }) => ['  ', ok ? ['✓', 'good'] : ['✗', 'bad'], ` ${text}`])
}
