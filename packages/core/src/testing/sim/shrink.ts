import { errorText } from '../../errors.ts'
import type { Violation } from './kinds.ts'
import type { History, Setup } from './setup.ts'
import { type SimResult, simulate } from './simulate.ts'

/** Runs that are spent on making one history shorter. */
const mostRuns = 400

export interface Shrunk {
  readonly history: History
  readonly violation: Violation
  readonly runs: number
}

/**
 * The shortest history that can be found in which the same invariant breaks: steps are left out by halves and then one
 * by one (Zeller's ddmin), then engines, users and servers that it does not need.
 * @param told hears each success
 */
export async function shrink(history: History, violation: Violation, told: (history: History) => void = () => {}): Promise<Shrunk> {
  let best = history
  let found = violation
  let runs = 0
  const breaks = async (candidate: History): Promise<boolean> => {
    if (runs >= mostRuns) return false
    runs++
    const result: SimResult | null = await simulate(candidate).catch((error: unknown) => {
      throw new Error(`the simulator itself fails: ${errorText(error)}`, { cause: error })
    })
    const same = result?.violations.find(({ invariant }) => invariant === violation.invariant)
    if (!same) return false
    best = candidate
    found = same
    told(candidate)
    return true
  }
  let size = Math.ceil(best.steps.length / 2)
  while (size >= 1 && runs < mostRuns) {
    let shrunk = false
    for (let at = 0; at < best.steps.length; ) {
      const steps = best.steps.filter((_, index) => index < at || index >= at + size)
      if (await breaks({ ...best, steps })) shrunk = true
      else at += size
    }
    if (size === 1 && !shrunk) break
    size = shrunk ? Math.min(size, Math.ceil(best.steps.length / 2)) : Math.floor(size / 2)
    if (best.steps.length === 0) break
    if (size === 0) size = 1
  }
  const simpler = (change: Partial<Setup>): Promise<boolean> => breaks({ ...best, setup: { ...best.setup, ...change } })
  if (best.setup.engines > 1) await simpler({ engines: 1 })
  if (best.setup.rudeListeners) await simpler({ rudeListeners: false })
  for (let share = 2; best.setup.users.length > 0 && share <= 64; share *= 2) {
    const size = Math.max(1, Math.floor(best.setup.users.length / share))
    for (let at = 0; at < best.setup.users.length; ) {
      const users = best.setup.users.filter((_, index) => index < at || index >= at + size)
      if (!(await simpler({ users }))) at += size
    }
  }
  for (const server of [...best.setup.servers].reverse()) {
    const users = best.setup.users.filter((user) => user.server !== String(server.id))
    const servers = best.setup.servers.filter((other) => other !== server)
    if (servers.length > 0) await simpler({ servers, users })
  }
  return { history: best, violation: found, runs }
}
