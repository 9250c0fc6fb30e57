import { isPintailError } from '@pintail/core'
import { isTerminal } from '../../packages/core/src/decide/migration.ts'
import { type ScenarioWorld, type Stage, scenario } from '../../packages/core/src/testing/sim/scenario.ts'

export const users = 9
const targets = 3
/** How long a fault lasts, seconds, where a row does not say otherwise. */
export const lasts = 120

/** What the reader may rely on; `faultTable.ts` says when each holds. */
export type RuleName = 'served' | 'listed' | 'settled' | 'moved' | 'single'

/** `drain`: `s1` lives and is drained; `failure`: it dies, and returns when all is over. */
export type Source = 'drain' | 'failure'

/** A fault, and how it is brought about. */
export interface Fault {
  /** In words, for the reader. */
  readonly what: string
  /** What cannot be relied on here, with this source or with that: the table is not written if that is not so. */
  readonly breaks?: Readonly<Partial<Record<Source, readonly RuleName[]>>>
  readonly world?: ScenarioWorld
  /** Called when the first migration is scheduled, before anything has been asked of the mover. */
  readonly strike: (stage: Stage) => void
}

/** What was seen of one fault in one world. Nothing here is claimed that was not looked up in the world or its store. */
export interface Observation {
  readonly migrations: readonly Ended[]
  /** Away from `s1` by the host's books: shortly before the fault is over, at rest, and when every dead server is back. */
  readonly moved: { readonly early: number; readonly end: number; readonly afterReturn: number }
  /** How many of those who were left a migration made by hand has moved then; null: nobody was left. */
  readonly byHand: number | null
  /** Users at home on a server that is dead, at rest. */
  readonly onDead: number
  /** Which grants exist, and of how many users. */
  readonly grants: { readonly end: ReadonlyMap<string, number>; readonly afterReturn: ReadonlyMap<string, number> }
  /** What ended migrations list as residue. */
  readonly residue: number
  readonly owed: { readonly targets: Owed; readonly source: Owed }
  /** Users whose home had no grant of theirs, at any second. */
  readonly unserved: number
  /** Grants at rest that are neither a home nor owed nor residue. */
  readonly unlisted: number
  /** Users with another grant than the one on their home, when every dead server is back. */
  readonly doubled: number
  /** Evacuations that have not ended, and connections that the last one reports as unplaced. */
  readonly open: number
  readonly unplaced: ReadonlyMap<string, number>
  readonly events: ReadonlyMap<string, number>
  /** `level: text` of the log, with ids cut. */
  readonly lines: readonly string[]
}

export interface Ended {
  readonly status: string
  readonly retries: number
  readonly rollbackSuccess: boolean | null
  readonly warned: boolean
}

/** Pending revokes: the most at one time, those left at rest, and those left when every dead server is back. */
export interface Owed {
  readonly most: number
  readonly end: number
  readonly afterReturn: number
}

/** Calm enough that one more failure than that of the source is acted on; a grace that ends while somebody looks. */
const policy = { mode: 'auto', guards: { massFailureRatio: 0.5 }, migration: { revokeGraceMs: 60_000 } } as const

/** Plays one fault; the judge of the simulator watches I1 to I14 all the way, and whatever it finds is thrown. */
export async function observe({ what, world = {}, strike }: Fault, source: Source): Promise<Observation> {
  let seen: Observation | null = null
  const merged: ScenarioWorld = {
    servers: targets + 1,
    users,
    ...world,
    policy: { ...policy, ...world.policy, migration: { ...policy.migration, ...world.policy?.migration } },
  }
  const { run } = scenario(what, merged, async (stage) => {
    seen = await play(stage, strike, source)
  })
  await run().catch((error) => {
    throw new Error(`${source}, ${what}: ${String(error?.message ?? error)}`, { cause: error })
  })
  if (seen === null) throw new Error(`nothing was seen of: ${what}`)
  return seen
}

async function play(stage: Stage, strike: (stage: Stage) => void, source: Source): Promise<Observation> {
  await stage.seconds(20)
  const watch = new Watch(stage)
  let struckAt = Number.POSITIVE_INFINITY
  stage.when('scheduled', () => {
    struckAt = stage.now
    strike(stage)
  })
  if (source === 'drain') await stage.answer(stage.engine.drain('s1'))
  else stage.kill('s1')
  while (stage.now < struckAt + (lasts - 5) * 1000) await watch.second()
  const early = away(stage)
  for (let calm = 0, all = 0; calm < 60 && all < 1200; all++) {
    await watch.second()
    calm = isAtRest(stage) ? calm + 1 : 0
  }
  const atRest = look(stage, watch)
  const most = { ...watch.most }
  const byHand = atRest.moved === users ? null : await askByHand(stage, watch)
  for (const id of servers) stage.revive(id)
  for (let waited = 0; waited < 300 && stage.revokes.length > 0; waited++) await watch.second()
  const after = look(stage, watch)
  const owed = (where: 'targets' | 'source'): Owed => ({
    most: most[where],
    end: atRest.owed[where],
    afterReturn: after.owed[where],
  })
  return {
    ...atRest,
    moved: { early, end: atRest.moved, afterReturn: after.moved },
    byHand,
    doubled: everybody.filter((id) => stage.grants(id).some((server) => server !== stage.home(id))).length,
    grants: { end: atRest.grants, afterReturn: after.grants },
    owed: { targets: owed('targets'), source: owed('source') },
    unserved: watch.unserved.size,
  }
}

/** What an operator would try: everybody who is left, to wherever there is room. */
async function askByHand(stage: Stage, watch: Watch): Promise<number> {
  const before = away(stage)
  const asked = stage.engine.migrations.create({ serverId: 's1', autoApprove: true })
  await stage.answer(asked).catch((error) => {
    if (!isPintailError(error)) throw error
  })
  for (let second = 0; second < 60; second++) await watch.second()
  return away(stage) - before
}

function look(stage: Stage, watch: Watch) {
  const { migrations, evacuations } = stage
  return {
    migrations: migrations.map(({ status, retryCount, rollbackSuccess, warnings }) => ({
      status,
      retries: retryCount,
      rollbackSuccess: status === 'failed' ? rollbackSuccess : null,
      warned: warnings.length > 0,
    })),
    moved: away(stage),
    onDead: everybody.filter((id) => !stage.server(stage.home(id)).alive).length,
    grants: grantsOf(stage),
    residue: migrations.reduce((sum, { residue }) => sum + residue.length, 0),
    owed: watch.owed(),
    unlisted: unlistedOf(stage),
    open: evacuations.filter(({ endedAt }) => endedAt === null).length,
    events: count(stage.events.map(({ type }) => type)),
    lines: stage.lines.map(withoutIds),
    unplaced: count(evacuations.at(-1)?.unplaced.map(({ code }) => code) ?? []),
  }
}

/** Looks once a second. */
class Watch {
  readonly #stage: Stage
  readonly most = { targets: 0, source: 0 }
  readonly unserved = new Set<string>()

  constructor(stage: Stage) {
    this.#stage = stage
  }

  async second(): Promise<void> {
    await this.#stage.seconds(1)
    const { targets, source } = this.owed()
    this.most.targets = Math.max(this.most.targets, targets)
    this.most.source = Math.max(this.most.source, source)
    for (const id of everybody) if (!this.#stage.grants(id).includes(this.#stage.home(id))) this.unserved.add(id)
  }

  owed(): { targets: number; source: number } {
    const source = this.#stage.revokes.filter(({ serverId }) => serverId === 's1').length
    return { targets: this.#stage.revokes.length - source, source }
  }
}

const servers = Array.from({ length: targets + 1 }, (_, index) => `s${index + 1}`)
const everybody = Array.from({ length: users }, (_, index) => `s1-${index + 1}`)
const away = (stage: Stage): number => users - stage.on('s1').length

/** What is owed on a dead server waits for its return: nothing else is to be waited for. */
function isAtRest(stage: Stage): boolean {
  return (
    stage.migrations.every(({ status }) => isTerminal(status)) &&
    stage.evacuations.every(({ endedAt }) => endedAt !== null) &&
    stage.revokes.every(({ serverId, move }) => [serverId, move.from.id].some((id) => !stage.server(id).alive))
  )
}

function grantsOf(stage: Stage): ReadonlyMap<string, number> {
  return count(
    everybody.map((id) => {
      const others = stage.grants(id).filter((server) => server !== 's1')
      const onSource = stage.grants(id).includes('s1') ? ['`s1`'] : []
      const onTargets = others.length === 1 ? ['target'] : others.length > 1 ? [`${others.length} targets`] : []
      return [...onTargets, ...onSource].join(' and ') || 'none'
    }),
  )
}

/** Grants that an operator would find nowhere: neither a home, nor owed, nor residue of the migration that left them. */
function unlistedOf(stage: Stage): number {
  const listed = new Set<string>()
  // Of a rollback it is still to be found out which of the two is too much.
  for (const { serverId, move, effect } of stage.revokes)
    for (const server of effect === 'rollback' ? [serverId, move.from.id] : [serverId]) listed.add(`${move.connection.id} ${server}`)
  for (const { residue, fromServerId, toServerId } of stage.migrations)
    for (const user of residue) for (const server of [fromServerId, toServerId]) listed.add(`${user} ${server}`)
  return everybody.flatMap((id) => stage.grants(id).filter((server) => server !== stage.home(id) && !listed.has(`${id} ${server}`))).length
}

export function count(words: readonly string[]): Map<string, number> {
  const counted = new Map<string, number>()
  for (const word of words) counted.set(word, (counted.get(word) ?? 0) + 1)
  return counted
}

const withoutIds = (line: string): string => line.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…').replace(/\d+(\.\d+)? s$/, '… s')
