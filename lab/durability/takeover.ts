// When the next one leads: by the row of the lease as the dead leader has left it, and by how each call of the lease
// store has ended, as the engines tell it themselves. No wall clock of the lab has a say.
import { expect } from 'vitest'
import { clocksMs } from './judge.ts'
import type { Engine, LeaseRow, Scene, SceneSetting } from './scene.ts'
import { ttlMs } from './scene.ts'
import type { LeaseCall } from './words.ts'

/**
 * A lease that nobody renews any more is over at `until`. The first question that a living engine asks after that must be
 * granted, or one that overtakes it; as each asks once a poll, somebody leads one poll later at the latest. None may be granted before.
 * @returns from the last renewal to the new lease, milliseconds
 */
export function takeover(store: SceneSetting['store'], { token, until }: LeaseRow, engines: readonly Engine[]): number {
  // The clock that the lease goes by: the server's time of day, or the machine's steady clock.
  const at = (call: LeaseCall): number => (store === 'postgres' ? call.at : call.steadyAt)
  const calls = engines.flatMap(({ leases }) => leases.filter((call) => call.lease === 'acquire'))
  const [granted] = calls.filter((call) => (call.token ?? 0) > token).sort((one, other) => Number(one.token) - Number(other.token))
  if (!granted) throw new Error(`nobody has got token ${token + 1}`)
  // An engine that stood still has given up a call that was granted all the same, and has waited for the end of its own lease.
  const unheard = Number(granted.token) - token - 1
  expect(calls.filter(({ error }) => error !== null).length, 'each token was asked for').toBeGreaterThanOrEqual(unheard)
  expect(at(granted) + granted.tookMs + clocksMs, 'no lease is given before the one before it is over').toBeGreaterThanOrEqual(until)
  if (unheard > 0) return at(granted) + granted.tookMs - (until - ttlMs)
  const refused = calls.filter(
    (call) => call.token === null && call.error === null && at(call) > until + clocksMs && at(call) + call.tookMs < at(granted) - clocksMs,
  )
  expect(refused, 'the first to ask when it is over gets it').toEqual([])
  return at(granted) + granted.tookMs - (until - ttlMs)
}

/** The longest pause between two questions of an engine that waits, with what the first of them took. */
export function longestPoll(scene: Scene): number {
  const pauses = scene.engines.flatMap(({ leases }) =>
    leases.flatMap((call, index) => {
      const before = leases[index - 1]
      const isPoll = call.lease === 'acquire' && before?.lease === 'acquire' && before.token === null
      return isPoll ? call.at - before.at : []
    }),
  )
  return Math.max(0, ...pauses)
}
