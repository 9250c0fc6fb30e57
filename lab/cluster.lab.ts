// Two engines, three region workers and two vantages as processes of their own over one PostgreSQL and one NATS server, with
// 20,000 users: killed, stopped and cut off at random while servers die and come back. PINTAIL_CHAOS is how long, in seconds
// (default 20; the whole of it is 600: `PINTAIL_CHAOS=600 npm run lab -- cluster`). PINTAIL_SEED draws other faults.
import { seededRandom } from '@pintail/core/testing'
import { expect, test } from 'vitest'
import { playChaos } from './cluster/chaos.ts'
import { judge } from './cluster/judge.ts'
import { openScene, type Scene } from './cluster/scene.ts'

const seed = Number(process.env.PINTAIL_SEED ?? 1)
const chaosMs = 1000 * Number(process.env.PINTAIL_CHAOS ?? 20)
const users = Number(process.env.PINTAIL_USERS ?? 20_000)
const minutes = 60_000
const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until nothing is wrong any more, and says what was wrong at last if that does not come. */
async function until(what: string, wrong: () => Promise<string | null>, withinMs = 10 * minutes): Promise<void> {
  const end = performance.now() + withinMs
  for (let last: string | null = ''; ; await rest(250)) {
    last = await wrong()
    if (last === null) return
    if (performance.now() > end) throw new Error(`in vain: ${what}: ${last}`)
  }
}

/** Nobody is on his way, and the engine that leads knows who lives. */
async function unquiet(scene: Scene): Promise<string | null> {
  const found = await scene.leader()
  if (!found) return 'nobody leads'
  const { down, unknown, evacuations, pendingRevokes } = found.status
  if (down.toSorted().join() !== scene.town.dead.toSorted().join())
    return `${down.join()} is taken for dead, and ${scene.town.dead.join()} is`
  if (unknown + evacuations + pendingRevokes > 0)
    return `${unknown} servers not known, ${evacuations} evacuations, ${pendingRevokes} pending revokes`
  const homes = await scene.homes()
  const left = [...homes.values()].filter((home) => scene.town.dead.includes(home)).length
  if (left > 0) return `${left} users at home on dead servers`
  const owed = await scene.owed()
  return owed > 0 ? `${owed} accesses to be taken` : null
}

const syncsOf = (scene: Scene) => Map.groupBy(scene.sent(), ({ type, server }) => (type === 'access.sync' ? server : null))

/** One period of syncs, however long it takes, then one look: it finds nothing. */
async function driftIsGone(scene: Scene): Promise<void> {
  const before = syncsOf(scene)
  await until('a sync of each server', async () => {
    const now = syncsOf(scene)
    const missing = scene.town.rows.filter(({ id }) => (now.get(id)?.length ?? 0) === (before.get(id)?.length ?? 0))
    return missing.length > 0 ? `no sync of ${missing.map(({ id }) => id).join()}` : null
  })
  await until('a full sync', async () => {
    const said = await (await scene.leader())?.proc.sync()
    if (!said || 'error' in said) return said?.error ?? 'nobody leads'
    if (said.applied < said.servers) return `${said.applied} of ${said.servers} servers are synced`
    expect(said.drift, 'drift after one sync period').toBe(0)
    return null
  })
}

const granted = ({ grants }: ReturnType<Scene['reality']>): number => [...grants.values()].reduce((sum, of) => sum + of.size, 0)

test(
  `whatever is killed, stopped or restarted, each user ends with one grant, and the ledger explains every change: ${chaosMs / 1000} s, seed ${seed}`,
  async () => {
    await using scene = await openScene(users)
    for (const proc of scene.procs.values()) await proc.start()
    // Workers whose books are empty are told everything.
    await until('the first grants', async () => {
      const count = granted(scene.reality())
      return count === users ? unquiet(scene) : `${count} of ${users} users have access`
    })
    const begun = performance.now()
    const faults = await playChaos(scene, chaosMs, seededRandom(seed))
    const calm = performance.now()
    await until('calm after the chaos', () => unquiet(scene))
    const quietMs = performance.now() - calm
    await driftIsGone(scene)
    const found = await judge(scene, users)
    expect((faults.engineKilled ?? 0) + (faults.engineStopped ?? 0), 'an engine was killed or stopped').toBeGreaterThan(0)
    const list = Object.entries(faults).map(([fault, count]) => `${fault} ${count}`)
    console.log(
      `cluster: ${Math.round((calm - begun) / 1000)} s of chaos, seed ${seed}: ${list.join(', ')}; ${users} users, ${found.moves} moves, ` +
        `${found.commands} commands, ${found.changes} changes (${found.effective} effective); calm after ${(quietMs / 1000).toFixed(1)} s, drift 0, lost 0`,
    )
  },
  chaosMs + 40 * minutes,
)
