// Piece after piece is killed while users are there. After each it is waited until all is right again, and told how long that took.
import type { Cluster } from './cluster.ts'
import { losses, type Reality } from './judge.ts'
import { leader, reality, usersOn } from './look.ts'

/** Longer than a lease and all that follows: whoever waits longer waits in vain. */
const patienceMs = 120_000

export interface Telling {
  readonly say: (text: string) => void
  readonly users: number
  readonly signal: AbortSignal
}

interface Scene {
  readonly title: string
  /** Kills something, and brings back what does not come back by itself. @returns what is to be seen afterwards */
  readonly play: (cluster: Cluster) => Promise<void>
}

const server = (id: string) => `VPN server ${id}`
const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function killServer(cluster: Cluster, id: string): Promise<void> {
  await cluster.piece(server(id)).end('SIGKILL')
}

async function startAgain(cluster: Cluster, name: string, says: RegExp): Promise<void> {
  const piece = cluster.piece(name)
  piece.forget()
  piece.start()
  await piece.says(says)
}

/** Until somebody of this server has been moved. */
async function begun(cluster: Cluster, id: string, before: number, signal: AbortSignal): Promise<void> {
  const until = performance.now() + patienceMs
  while (usersOn(cluster, id).length >= before && performance.now() < until && !signal.aborted) await rest(20)
}

function scenes(signal: AbortSignal, isShort: boolean): readonly Scene[] {
  const all: (Scene & { readonly isLong?: true })[] = [
    { title: 'VPN server de-1 dies (kill -9)', play: (cluster) => killServer(cluster, 'de-1') },
    {
      title: 'VPN server nl-1 dies, and the worker of nl with it (kill -9); the worker is started again after three seconds',
      async play(cluster) {
        await killServer(cluster, 'nl-1')
        await cluster.piece('worker nl').end('SIGKILL')
        await rest(3000)
        await startAgain(cluster, 'worker nl', /waits for commands/)
      },
    },
    {
      title: 'de-1 and nl-1 come back',
      async play(cluster) {
        for (const id of ['de-1', 'nl-1']) await startAgain(cluster, server(id), /^listens on/)
      },
    },
    {
      title: 'VPN server se-1 dies, and the broker in the middle of the evacuation (kill -9); it is started again after two seconds',
      async play(cluster) {
        const before = usersOn(cluster, 'se-1').length
        await killServer(cluster, 'se-1')
        await begun(cluster, 'se-1', before, signal)
        await cluster.piece('NATS').end('SIGKILL')
        await rest(2000)
        cluster.piece('NATS').start()
      },
    },
    {
      title: 'the vantage “abroad” dies (kill -9), and is started again after five seconds: nobody is moved for it',
      async play(cluster) {
        await cluster.piece('vantage abroad').end('SIGKILL')
        await rest(5000)
        await startAgain(cluster, 'vantage abroad', /probes by/)
      },
    },
    {
      title:
        'the engine that leads dies (kill -9), and VPN server se-2 with it; the other engine takes over when the lease is over, within a minute',
      isLong: true,
      async play(cluster) {
        const found = await leader(cluster)
        if (!found) throw new Error('nobody leads')
        await cluster.piece(found.name).end('SIGKILL')
        await killServer(cluster, 'se-2')
        await rest(1000)
        await startAgain(cluster, found.name, /^health is at/)
      },
    },
  ]
  return all.filter(({ isLong }) => !isShort || !isLong)
}

/** Until the first grants are on the servers and all servers have been seen. */
export const untilRight = async (cluster: Cluster, { users, signal }: Telling): Promise<string[]> => {
  const until = performance.now() + patienceMs
  let wrong: string[] = ['it was never looked at']
  while (performance.now() < until && !signal.aborted) {
    wrong = await whatIsWrong(cluster, users)
    if (wrong.length === 0) return []
    await rest(250)
  }
  return wrong
}

/** What is not yet as it will be; none: all is right, and nobody is on his way. */
async function whatIsWrong(cluster: Cluster, users: number): Promise<string[]> {
  const found = await leader(cluster)
  if (!found) return ['no engine leads']
  const { status } = found
  const real = await reality(cluster)
  const verdicts = status.servers.filter(({ server_id, verdict }) => (verdict.verdict === 'down') !== real.dead.includes(server_id))
  return [
    ...verdicts.map(({ server_id, verdict }) => `server ${server_id} is taken for ${verdict.verdict}`),
    ...(status.evacuations.length > 0 ? [`${status.evacuations.length} evacuations under way`] : []),
    ...(status.pending_revokes > 0 ? [`${status.pending_revokes} old grants to be taken`] : []),
    ...(real.owed.size > 0 ? [`${real.owed.size} grants are to be gone`] : []),
    ...losses(real, users),
  ]
}

const where = ({ homes }: Reality): string =>
  [...Map.groupBy(homes.values(), (home) => home)]
    .map(([home, of]) => `${home} ${of.length}`)
    .sort()
    .join(', ')

/** @returns what was lost, in words */
export async function playAll(cluster: Cluster, isShort: boolean, telling: Telling): Promise<string[]> {
  const { say, signal } = telling
  const lost: string[] = []
  for (const { title, play } of scenes(signal, isShort)) {
    if (signal.aborted) break
    const begin = performance.now()
    const before = await reality(cluster)
    say(`\n▸ ${title}`)
    await play(cluster)
    const wrong = await untilRight(cluster, telling)
    const after = await reality(cluster)
    const moved = [...after.homes].filter(([user, home]) => before.homes.get(user) !== home).length
    const seconds = ((performance.now() - begin) / 1000).toFixed(1)
    if (wrong.length > 0) {
      say(`  ✗ not right after ${seconds} s: ${wrong.join('; ')}`)
      lost.push(...wrong)
    } else
      say(
        `  ✓ right again after ${seconds} s: ${moved} of ${after.homes.size} users were moved; each has access at home and nowhere else\n    ${where(after)}`,
      )
  }
  return lost
}
