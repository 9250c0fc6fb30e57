import type { MigrationPolicy, PlannedWave, PlanSchedule, Rate } from '../vocabulary.ts'

/** How many go from where to where. */
export interface Batch {
  readonly from: string
  readonly to: string
  readonly count: number
}

/** A plan has about so many waves: they are as long as that needs. */
const fewWaves = 20
/** What a wave may last, seconds. Above it doubles. */
const lengths = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]

/** A budget that fills as a bucket of tokens does (`pace.ts`), in steps of a wave. */
class Budget {
  readonly #perMs: number
  readonly #burst: number
  readonly count: number
  #tokens: number
  /** How many may still start in this wave. */
  left = 0
  #used = 0

  /** @param count how many there are in all */
  constructor({ perSecond, burst }: Rate, count: number) {
    this.#perMs = perSecond / 1000
    this.#burst = burst
    this.#tokens = burst
    this.count = count
  }

  /** The least time in which all can start. */
  get leastMs(): number {
    return Math.max(0, this.count - this.#burst) / this.#perMs
  }

  begin(waveMs: number): void {
    // A hair more than nothing, so that ten waves of a tenth are a whole.
    this.left = Math.floor(this.#tokens + this.#perMs * waveMs + 1e-9)
    this.#used = 0
  }

  take(count: number): void {
    this.left -= count
    this.#used += count
  }

  /** When within the wave the last of those who start in it can start. */
  get spentMs(): number {
    return Math.max(0, this.#used - this.#tokens) / this.#perMs
  }

  end(waveMs: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + this.#perMs * waveMs - this.#used)
  }
}

/** A batch while it waits, and what limits it. */
interface Waiting {
  readonly batch: Batch
  readonly budgets: readonly Budget[]
  left: number
}

/**
 * When moves can start by the rate budgets, and by the calls in flight where it is known how long one takes. Budgets begin
 * full, as after quiet time. All batches of a wave get an even share of what all of them may, as the mover takes turns.
 * @param callMs how long one move takes; null: none was seen yet
 */
export function scheduleOf(batches: readonly Batch[], policy: MigrationPolicy, callMs: number | null): PlanSchedule {
  const waiting = budgeted(batches, policy, callMs)
  const budgets = [...new Set(waiting.flatMap((one) => one.budgets))]
  const waveMs = lengthOf(budgets.reduce((most, { leastMs }) => Math.max(most, leastMs), 0) / fewWaves)
  const waves: PlannedWave[] = []
  let rest = waiting.filter(({ left }) => left > 0)
  let lastMs = 0
  for (let startsAfterMs = 0; rest.length > 0; startsAfterMs += waveMs) {
    for (const budget of budgets) budget.begin(waveMs)
    const before = new Map(rest.map((one) => [one, one.left]))
    share(rest)
    const moved = rest.filter((one) => (before.get(one) as number) > one.left)
    const connections = moved.reduce((sum, one) => sum + (before.get(one) as number) - one.left, 0)
    const takesMs = budgets.reduce((most, { spentMs }) => Math.max(most, spentMs), 0)
    for (const budget of budgets) budget.end(waveMs)
    const targets = new Set(moved.map(({ batch }) => batch.to)).size
    // A rate of less than one a wave leaves some of them empty.
    if (connections > 0)
      waves.push({ startsAfterMs, endsAfterMs: startsAfterMs + Math.min(waveMs, Math.ceil(takesMs)), connections, targets })
    lastMs = startsAfterMs + takesMs
    // Whose turn comes first goes round, so that nobody is always the last.
    rest = [...rest.slice(1), ...rest.slice(0, 1)].filter(({ left }) => left > 0)
  }
  const isKnown = waves.length === 0 || budgets.length > 0 || callMs !== null
  return { expectedMs: isKnown ? Math.ceil(waves.length > 0 ? lastMs + (callMs ?? 0) : 0) : null, callMs, waves }
}

/** Evenly, until nobody can get more. */
function share(rest: readonly Waiting[]): void {
  for (let open = rest; open.length > 0; ) {
    const stillOpen = open.filter((one) => {
      // Of what all share, as much as is there for each of those who still ask.
      const most = one.budgets.map(({ left }, index) => (index === 0 ? Math.ceil(left / open.length) : left))
      const count = Math.min(one.left, ...most)
      one.left -= count
      for (const budget of one.budgets) budget.take(count)
      return count > 0 && one.left > 0
    })
    open = stillOpen
  }
}

function budgeted(batches: readonly Batch[], policy: MigrationPolicy, callMs: number | null): Waiting[] {
  const { rates, concurrency, concurrencyPerTarget } = policy
  const total = (by: (batch: Batch) => string): Map<string, number> => {
    const sums = new Map<string, number>()
    for (const batch of batches) sums.set(by(batch), (sums.get(by(batch)) ?? 0) + batch.count)
    return sums
  }
  const budgetsBy = (by: (batch: Batch) => string, limits: readonly (Rate | null)[]): ((batch: Batch) => Budget[]) => {
    const set = limits.flatMap((rate) => rate ?? [])
    const known = new Map([...total(by)].map(([key, count]) => [key, set.map((rate) => new Budget(rate, count))]))
    return (batch) => known.get(by(batch)) ?? []
  }
  // So many at once, and each place free again after one call.
  const inFlight = (places: number): Rate | null =>
    callMs === null ? null : { perSecond: (places * 1000) / Math.max(1, callMs), burst: places }
  const overall = budgetsBy(() => '', [rates.overall, inFlight(concurrency)])
  const perTarget = budgetsBy(({ to }) => to, [rates.perTarget, inFlight(concurrencyPerTarget)])
  const perSource = budgetsBy(({ from }) => from, [rates.perSource])
  return batches.map((batch) => ({ batch, left: batch.count, budgets: [...overall(batch), ...perTarget(batch), ...perSource(batch)] }))
}

function lengthOf(leastMs: number): number {
  let ms = (lengths.find((seconds) => seconds * 1000 >= leastMs) ?? 7200) * 1000
  while (ms < leastMs) ms *= 2
  return ms
}
