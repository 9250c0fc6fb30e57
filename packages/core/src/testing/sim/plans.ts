import { isPintailError } from '../../errors.ts'
import type { Evacuation, Migration, Plan } from '../../vocabulary.ts'
import type { Judge } from './judge.ts'
import type { World } from './world.ts'

/** A plan that somebody has looked at, and asks to be carried out. */
export interface AskedPlan {
  executed(evacuation: Evacuation, made: readonly Migration[]): void
  refused(error: unknown): void
}

interface Executed {
  readonly plan: Plan
  readonly evacuationId: string
  /** By target. */
  readonly migrations: ReadonlyMap<string, string>
  readonly at: number
}

const wordOfDifference = /^(policy|source|target|room)\b.*(was .+, is .+|would have no place there now)/

/** I6 to its end: whoever was to go somewhere by a plan that was carried out is there, and a refusal names what is different. */
export class Plans {
  readonly #world: World
  readonly #judge: Judge
  /** Whether nothing at all has gone wrong since then, and nobody but this evacuation has moved anybody. */
  readonly #isQuietSince: (at: number, evacuation: string | null) => boolean
  readonly #executed: Executed[] = []
  /** Plans that were carried out, users of them that were looked for where they should be, and plans that were refused. */
  readonly counts = { executed: 0, settled: 0, refused: 0 }

  constructor(world: World, judge: Judge, isQuietSince: (at: number, evacuation: string | null) => boolean) {
    this.#world = world
    this.#judge = judge
    this.#isQuietSince = isQuietSince
  }

  asksFor(plan: Plan): AskedPlan {
    const world = this.#world
    const plannedAt = plan.createdAt - world.startedAt
    return {
      executed: ({ id: evacuationId }, made) => {
        this.counts.executed++
        this.#executed.push({ plan, evacuationId, migrations: new Map(made.map((one) => [one.toServerId, one.id])), at: world.now })
      },
      refused: (error) => {
        if (!isPintailError(error, 'plan_stale')) return
        this.counts.refused++
        if (error.problems.length === 0 || !error.problems.every(({ message }) => wordOfDifference.test(message)))
          this.#judge.report('I6', `a plan is refused and nothing is named that has changed: ${error.message}`)
        if (this.#isQuietSince(plannedAt, null)) this.#judge.report('I6', `a plan is refused though nothing has changed: ${error.message}`)
      },
    }
  }

  /** At the end: who really is where, for all whom nothing else has moved or hindered. */
  settle(): void {
    // A list of who was active lately names people who are elsewhere, and so does a plan that is made of it.
    if (this.#world.setup.registry.coverage === 'active') return
    for (const one of this.#executed) this.#settle(one)
  }

  #settle({ plan, evacuationId, migrations, at }: Executed): void {
    const judge = this.#judge
    const isQuiet = this.#isQuietSince(at, evacuationId)
    const whole = judge.evacuations.get(evacuationId)
    for (const { toServerId, connections } of plan.placements) {
      const id = migrations.get(toServerId)
      const migration = id === undefined ? undefined : judge.migrations.get(id)
      for (const connection of connections) {
        const user = this.#world.users.get(connection.id)
        const move = id === undefined ? undefined : judge.moves.get(`${id}/${connection.id}`)
        // Whom his own host has moved, or another migration since, is where they have brought him.
        if (!user || user.gone || user.touchedAt > 0 || judge.hasMovedSince(connection.id, at, id ?? '')) continue
        if (isQuiet && whole?.status === 'completed' && migration?.status !== 'completed')
          judge.report('I6', `${connection.id} was to go to ${toServerId}: nothing has gone wrong, and it was not carried out`)
        if (migration?.status !== 'completed' || (move?.state.state !== 'moved' && !isQuiet)) continue
        this.counts.settled++
        if (user.home !== toServerId)
          judge.report('I6', `${connection.id} was to go to ${toServerId} by a plan that was carried out, and is on ${user.home}`)
      }
    }
  }
}
