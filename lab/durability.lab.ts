// Engines as processes of their own over durable stores: killed, stopped, and cut off from the store, in the middle of an
// evacuation. PINTAIL_KILLS is how often an engine is killed over PostgreSQL, and a quarter of that over SQLite (default 12
// and 3; the whole of it is 100 and 100: `PINTAIL_KILLS=100 npm run lab -- durability`). PINTAIL_SEED draws other moments.

import { seededRandom } from '@pintail/core/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { caughtBetween, judge } from './durability/judge.ts'
import { type Engine, makeScene, type Scene, type SceneSetting } from './durability/scene.ts'
import { makeStage, type Stage } from './durability/stage.ts'
import { longestPoll, takeover } from './durability/takeover.ts'

const seed = Number(process.env.PINTAIL_SEED ?? 1)
const kills = Number(process.env.PINTAIL_KILLS ?? 12)
const minutes = 60_000
const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

let stage: Stage
beforeAll(async () => {
  stage = await makeStage()
})
afterAll(() => stage?.destroy())

/** Runs with a scene, and ends its processes whatever comes of it. */
async function within(setting: SceneSetting, play: (scene: Scene) => Promise<void>): Promise<void> {
  const scene = await makeScene(stage, setting)
  try {
    await play(scene)
  } finally {
    await scene.end()
  }
}

const allUp = (engine: Engine, scene: Scene) =>
  engine.until(() => {
    const up = engine.told('server.verdict_changed').filter(({ data }) => data.verdict === 'up')
    return up.length >= scene.setting.servers ? true : undefined
  })

/** Until there is nothing left to do for whoever leads, old grants included. */
async function finished(scene: Scene): Promise<void> {
  for (;;) {
    const left = await scene.ask({ do: 'left' })
    const { state, evacuations, pendingRevokes } = await scene.current().status()
    if (state === 'leading' && left === 0 && evacuations === 0 && pendingRevokes === 0) return
    await rest(200)
  }
}

// ------------------------------------------------------------------------------------------------------------- kill -9

/** How many worlds play at once, so that the leases are waited for side by side; and how many kills each has. */
function spread(total: number): number[] {
  const worlds = Math.max(1, Math.min(6, Math.round(total / 3)))
  return Array.from({ length: worlds }, (_, index) => Math.floor((total + index) / worlds))
}

interface Moment {
  /** When so many calls have changed something; or, null, when somebody leads. */
  readonly effects: number | null
  readonly thenMs: number
}

/**
 * Of one world: spread over the whole evacuation, each move of which has two effects, the first one while users are moved;
 * some while a new leader reads.
 */
function momentsOf(count: number, users: number, random: () => number): Moment[] {
  const effects = Array.from({ length: count }, (_, index) => Math.floor(random() * users * (index === 0 ? 0.9 : 1.95))).sort(
    (a, b) => a - b,
  )
  return effects.map((one, index) =>
    index > 0 && random() < 0.3
      ? { effects: null, thenMs: Math.round(random() * 1500) }
      : { effects: one, thenMs: Math.round(random() * 60) },
  )
}

async function killAll(scene: Scene, store: SceneSetting['store'], moments: readonly Moment[]): Promise<void> {
  scene.start('e1')
  const first = await scene.leader()
  if (store === 'postgres') scene.start('e2')
  await allUp(first, scene)
  // However late the first one is killed, somebody is left for the next.
  await scene.ask({ do: 'hold', moves: scene.setting.users - 100 })
  await scene.ask({ do: 'kill', server: 's1' })
  const takeovers: number[] = []
  for (const [index, { effects, thenMs }] of moments.entries()) {
    if (effects !== null) await scene.ask({ do: 'when', effects })
    await rest(thenMs)
    // On a machine that is very busy somebody else may lead by now.
    await scene.current().kill()
    await scene.ask({ do: 'go' })
    const row = await scene.lease()
    scene.start(`e${index + 3}`)
    await scene.leader(row.token)
    takeovers.push(takeover(store, row, scene.engines))
  }
  await finished(scene)
  for (const engine of scene.engines) if (engine.isAlive()) await engine.stop()
  const { effective } = await judge(scene, ['s1'])
  const moves = effective.filter(({ what }) => what === 'move')
  expect(moves.length, 'each is moved once').toBe(scene.setting.users)
  expect(new Set(moves.map(({ token }) => token)).size, 'several leaders have moved').toBeGreaterThan(1)
  const longest = (all: readonly number[]) => (Math.max(...all) / 1000).toFixed(1)
  console.log(
    `${scene.name}: ${moments.length} kills; a new lease at most ${longest(takeovers)} s after the last renewal; asked for at least every ${longest([longestPoll(scene)])} s`,
  )
}

for (const store of ['postgres', 'sqlite'] as const)
  for (const [index, count] of spread(store === 'postgres' || kills >= 100 ? kills : Math.ceil(kills / 4)).entries()) {
    const own = seed * 1000 + index + (store === 'sqlite' ? 500 : 0)
    const rule =
      store === 'postgres'
        ? 'an engine over PostgreSQL that is killed, with another standing by'
        : 'an engine over SQLite that is killed and starts again on its file'
    test.concurrent(
      `${rule}, moves everybody once and leaves nothing behind: ${count} kills, seed ${own}`,
      async () => {
        const random = seededRandom(own)
        const users = 2000
        const moments = momentsOf(count, users, random)
        console.log(`${store}, seed ${own}: ${JSON.stringify(moments)}`)
        const name = `kill_${store}_${index}`
        await within({ name, store, panel: { users, seed: own } }, (scene) => killAll(scene, store, moments))
      },
      (12 + 3 * count) * minutes,
    )
  }

// -------------------------------------------------------------------------------------------------------- SIGSTOP, SIGCONT

interface Pause {
  readonly fencing: 'enforced' | 'none'
  /** Dies while the leader stands still. */
  readonly alsoDies?: string
  /** When the leader goes on. */
  readonly goesOn: (scene: Scene, next: Engine) => Promise<unknown>
}

/** Stops the leader beyond its lease with calls in its client's queue, and tells what arrived late. */
async function pauseLeader(scene: Scene, { fencing, alsoDies, goesOn }: Pause) {
  const first = scene.start('first')
  await first.hears('leader.acquired')
  const next = scene.start('next')
  await allUp(first, scene)
  await scene.ask({ do: 'kill', server: 's1' })
  await scene.ask({ do: 'when', effects: 40 })
  first.signal('SIGSTOP')
  const stoppedAt = Date.now()
  const { until } = await scene.lease()
  if (alsoDies !== undefined) await scene.ask({ do: 'kill', server: alsoDies })
  await next.hears('leader.acquired')
  await goesOn(scene, next)
  first.signal('SIGCONT')
  await first.hears('leader.lost')
  await finished(scene)
  expect((await first.status()).state).toBe('standby')
  for (const engine of scene.engines) await engine.stop()
  const stopped = { engine: 'first', at: stoppedAt }
  const { book, effective } = await judge(scene, ['s1', ...(alsoDies === undefined ? [] : [alsoDies])], fencing, stopped)
  const late = book.entries.filter(({ engine, arrivedAt }) => engine === 'first' && arrivedAt > until)
  const caught = caughtBetween(book.entries, stopped)
  expect(
    late.filter((entry) => entry.calledAt > stoppedAt && entry !== caught),
    'nothing is asked for after the pause: what is late was in flight',
  ).toEqual([])
  console.log(
    `${scene.name}: ${late.length} of ${book.entries.length} requests arrived after their lease: ${JSON.stringify(
      Object.groupBy(late, ({ result }) => result),
      (key, value) => (Array.isArray(value) && key !== '' ? value.length : value),
    )}`,
  )
  return { late, effective }
}

/** At any time nearly all calls that are under way have not been sent yet. */
const slowClient = { panel: { users: 400, latencyMs: 40 }, clientDelayMs: 1200 } as const

type Paused = Awaited<ReturnType<typeof pauseLeader>>

/**
 * What a client does first after a pause, to send or to give up, is its own affair. Where nothing was late, nothing was shown:
 * such a scene is judged as any other, and played again.
 */
async function someAreLate(
  name: string,
  pause: Pause,
  isWanted: (late: Paused['late'][number]) => boolean,
  seen: (found: Paused, scene: Scene) => void = () => {},
): Promise<void> {
  for (let scenes = 1; scenes <= 10; scenes++) {
    let wanted = 0
    await within({ name: `${name}_${scenes}`, store: 'postgres', fencing: pause.fencing, ...slowClient }, async (scene) => {
      const found = await pauseLeader(scene, pause)
      seen(found, scene)
      wanted = found.late.filter(isWanted).length
    })
    if (wanted > 0) return
  }
  expect.fail(`${name}: in ten scenes nothing was late`)
}

const allMovedOnce = ({ effective }: Paused, scene: Scene): void =>
  expect(effective.filter(({ what }) => what === 'move').length).toBe(scene.setting.users)

test.concurrent(
  'with enforced fencing every late move of a leader that stood still is refused',
  () =>
    someAreLate(
      'pause_enforced',
      {
        fencing: 'enforced',
        // The panel refuses by what it has seen.
        goesOn: async (scene, next) => {
          for (;;) {
            const { entries } = await scene.book()
            if (entries.some(({ engine }) => engine === next.name)) return
            await rest(50)
          }
        },
      },
      () => true,
      (found, scene) => {
        expect(found.late.filter(({ result }) => result !== 'fenced')).toEqual([])
        allMovedOnce(found, scene)
      },
    ),
  40 * minutes,
)

test.concurrent(
  'without fencing the late moves of a leader that stood still are found by asking, and nobody is moved twice',
  () => someAreLate('pause_none', { fencing: 'none', goesOn: async () => {} }, ({ result }) => result === 'effective', allMovedOnce),
  40 * minutes,
)

test.concurrent(
  'without fencing late moves onto a server that has died meanwhile are found and repaired',
  () =>
    someAreLate(
      'pause_dead',
      { fencing: 'none', alsoDies: 's2', goesOn: () => rest(seededRandom(seed)() * 1000) },
      ({ to }) => to === 's2',
    ),
  40 * minutes,
)

// -------------------------------------------------------------------------------------------------------------- partitions

for (const fencing of ['enforced', 'none'] as const)
  test.concurrent(
    `a leader that is cut off from the store stops before its effect, says so, goes on probing, and returns (fencing ${fencing})`,
    () =>
      within({ name: `cut_leader_${fencing}`, store: 'postgres', fencing, panel: { latencyMs: 100 } }, async (scene) => {
        const place = `leader${fencing}`
        await stage.addPlace(place)
        const first = scene.start('first', place)
        await first.hears('leader.acquired')
        const next = scene.start('next')
        await allUp(first, scene)
        // However late it is cut off, somebody is left for the next.
        await scene.ask({ do: 'hold', moves: scene.setting.users / 2 })
        await scene.ask({ do: 'kill', server: 's1' })
        await scene.ask({ do: 'when', effects: 150 })
        await stage.partition(place, true)
        await scene.ask({ do: 'go' })
        const row = await scene.lease()
        const said = await first.hears('warning', ({ message }) => /the store does not answer; nothing is moved/.test(message))
        // What was on its way when the cable was cut may have been carried out since.
        const now = await scene.lease()
        const { until } = now.token === row.token ? now : row
        expect((await first.status()).storeTrouble).not.toBeNull()
        await next.hears('leader.acquired')
        const before = (await scene.book()).probes.first?.count ?? 0
        await finished(scene)
        const { probes, entries } = await scene.book()
        expect(probes.first?.count, 'it goes on probing').toBeGreaterThan(before)
        const isOwn = ({ engine }: { readonly engine: string }) => engine === 'first'
        expect(
          entries.filter((entry) => isOwn(entry) && (entry.calledAt > said.at || entry.arrivedAt > until)),
          'it asks for nothing after it has said so',
        ).toEqual([])
        await stage.partition(place, false)
        await first.hears('leader.lost')
        await next.stop()
        const again = await first.hears('leader.acquired', ({ token }) => token === 3)
        expect(again.data.holder).toBe(first.told('leader.acquired')[0]?.data.holder)
        await first.stop()
        const { effective } = await judge(scene, ['s1'], fencing)
        expect(effective.filter(({ what }) => what === 'move').length).toBe(scene.setting.users)
        const lastOwn = effective.findLastIndex(isOwn)
        expect(effective.findIndex(({ engine }) => engine === 'next')).toBe(lastOwn + 1)
      }),
    20 * minutes,
  )

test.concurrent(
  'a standby that is cut off from the store says so and never acts; when it is back it takes over',
  () =>
    within({ name: 'cut_standby', store: 'postgres', panel: { latencyMs: 100 } }, async (scene) => {
      await stage.addPlace('standby')
      const first = scene.start('first')
      await first.hears('leader.acquired')
      const next = scene.start('next', 'standby')
      await next.until(() => next.leases[0])
      await stage.partition('standby', true)
      await allUp(first, scene)
      await next.hears('warning', ({ message }) => /^cannot lead: /.test(message))
      expect((await next.status()).storeTrouble).not.toBeNull()
      await scene.ask({ do: 'kill', server: 's1' })
      await scene.ask({ do: 'when', effects: 150 })
      await first.kill()
      const row = await scene.lease()
      await rest(2000)
      expect((await scene.book()).entries.filter(({ engine }) => engine === 'next')).toEqual([])
      await stage.partition('standby', false)
      await next.hears('leader.acquired')
      takeover('postgres', row, scene.engines)
      await finished(scene)
      expect((await next.status()).storeTrouble).toBeNull()
      await next.stop()
      const { effective } = await judge(scene, ['s1'])
      expect(effective.filter(({ what }) => what === 'move').length).toBe(scene.setting.users)
    }),
  20 * minutes,
)
