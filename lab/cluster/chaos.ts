// What goes wrong, and when: drawn from one number.
import type { Proc, Scene } from './scene.ts'

/** The kinds of faults, and how often each is drawn. */
const weights = {
  workerKilled: 4,
  workerStopped: 4,
  vantageKilled: 2,
  vantageStopped: 2,
  broker: 3,
  serverDies: 5,
  serverBack: 4,
} as const
type Drawn = keyof typeof weights
export type Fault = Drawn | 'engineKilled' | 'engineStopped'

/** Servers that are dead at once, at most: more would be a failure of the masses, and nobody would be moved. */
const mostDead = 3
/**
 * An engine that leads needs a lease's length to be succeeded: not oftener than this, or nothing would ever move. One is
 * in the first half of each run.
 */
const engineEveryMs = 75_000

const rest = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Plays faults for so long, then lets everything live but the servers that are dead. @returns how often each was played */
export async function playChaos(scene: Scene, forMs: number, random: () => number): Promise<Partial<Record<Fault, number>>> {
  const played: Partial<Record<Fault, number>> = {}
  const underWay = new Set<Promise<void>>()
  const begun = performance.now()
  const until = begun + forMs
  let engineAt = begun + (random() * Math.min(forMs, engineEveryMs)) / 2
  // However slow it is, an engine has its turn.
  for (let hadEngine = false; performance.now() < until || !hadEngine; ) {
    const isEngine = performance.now() >= engineAt
    if (isEngine) engineAt += engineEveryMs
    hadEngine ||= isEngine
    const fault = isEngine ? (random() < 0.6 ? 'engineKilled' : 'engineStopped') : drawn(random)
    const work = begin(fault, scene, random, until)
    if (work) {
      played[fault] = (played[fault] ?? 0) + 1
      const ended = work.finally(() => underWay.delete(ended))
      underWay.add(ended)
    }
    await rest(200 + 1800 * random())
  }
  await Promise.all(underWay)
  return played
}

function drawn(random: () => number): Drawn {
  const all = Object.entries(weights) as [Drawn, number][]
  let at = random() * all.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [fault, weight] of all) {
    at -= weight
    if (at < 0) return fault
  }
  return 'broker'
}

/** Null: it cannot be played now. */
function begin(fault: Fault, scene: Scene, random: () => number, until: number): Promise<void> | null {
  const some = (kind: string): Proc | null => {
    const all = [...scene.procs.values()].filter((one) => one.name.startsWith(kind) && one.isAwake)
    return all[Math.floor(random() * all.length)] ?? null
  }
  const left = (): number => Math.max(1000, until - performance.now())
  const killed = (proc: Proc | null) => proc && killAndStart(proc, 200 + 3000 * random())
  const stopped = (proc: Proc | null, most: number) => proc && stopAndGoOn(proc, Math.min(left(), 500 + most * random()))
  switch (fault) {
    case 'workerKilled':
      return killed(some('worker'))
    case 'workerStopped':
      return stopped(some('worker'), 12_000)
    case 'vantageKilled':
      return killed(some('vantage'))
    case 'vantageStopped':
      return stopped(some('vantage'), 12_000)
    case 'engineKilled':
      return onEngine(scene, random, (one) => killed(one))
    case 'engineStopped':
      return onEngine(scene, random, (one) => stopped(one, 60_000))
    case 'broker':
      return restartBroker(scene, 1500 * random())
    case 'serverDies': {
      const alive = scene.town.rows.filter(({ id }) => !scene.town.dead.includes(id))
      const one = alive[Math.floor(random() * alive.length)]
      return scene.town.dead.length < mostDead && one ? scene.town.kill(one.id) : null
    }
    case 'serverBack': {
      const one = scene.town.dead[Math.floor(random() * scene.town.dead.length)]
      return one === undefined ? null : scene.town.revive(one)
    }
    default:
      return fault satisfies never
  }
}

/** Mostly on the one that leads. */
async function onEngine(scene: Scene, random: () => number, play: (engine: Proc) => Promise<void> | null): Promise<void> {
  const leads = (await scene.leader())?.proc
  const engines = [...scene.procs.values()].filter((one) => one.name.startsWith('engine') && one.isAwake)
  const one = random() < 0.75 && leads ? leads : engines[Math.floor(random() * engines.length)]
  if (one) await play(one)
}

async function killAndStart(proc: Proc, afterMs: number): Promise<void> {
  await proc.kill()
  await rest(afterMs)
  await proc.start()
}

async function stopAndGoOn(proc: Proc, forMs: number): Promise<void> {
  proc.stop()
  await rest(forMs)
  proc.goOn()
}

let isRestarting = false

/** As by a loss of power: what it had not written is lost, and everybody has to come back by himself. */
async function restartBroker({ nats }: Scene, afterMs: number): Promise<void> {
  if (isRestarting) return
  isRestarting = true
  try {
    await nats.down('SIGKILL')
    await rest(afterMs)
    await nats.start()
  } finally {
    isRestarting = false
  }
}
