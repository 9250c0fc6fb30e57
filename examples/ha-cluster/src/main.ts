// npm run ha-cluster: two engines, PostgreSQL, NATS, three region workers, two vantages and nine VPN servers that are not there.
import { parseArgs, usage } from './args.ts'
import { Cluster, regions, vantages } from './cluster.ts'
import { losses } from './judge.ts'
import { leader, reality } from './look.ts'
import { findPrograms } from './programs.ts'
import { playAll, type Telling, untilRight } from './story.ts'

const say = (text: string): void => void process.stdout.write(`${text}\n`)

const args = parseArgs(process.argv.slice(2))
if (args) process.exitCode = await main(args)
else {
  process.stderr.write(usage)
  process.exitCode = 2
}

async function main({ isKill, isShort, users }: NonNullable<ReturnType<typeof parseArgs>>): Promise<number> {
  const programs = findPrograms()
  if ('missing' in programs) {
    process.stderr.write(`The cluster cannot run here; missing:\n${programs.missing.map((line) => `  ${line}\n`).join('')}`)
    return 2
  }
  const ending = new AbortController()
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        // The second one does not wait for an orderly end.
        if (ending.signal.aborted) process.exit(130)
        ending.abort()
        resolve()
      })
  })
  const cluster = new Cluster(programs)
  const killNow = (): void => cluster.killNow()
  process.once('exit', killNow)
  try {
    const telling = { say, users, signal: ending.signal }
    const isStarted = await open(cluster, telling)
    if (ending.signal.aborted) return 130
    if (!isStarted) return 1
    if (!isKill) {
      say('\nCtrl-C ends it. `npm run ha-cluster -- --kill` kills one piece after another.')
      tellMoves(cluster)
      await asked
      return 0
    }
    return await killAll(cluster, isShort, telling)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nThe logs are in ${cluster.folder} until it ends.\n`)
    return 1
  } finally {
    if (!isKill) say('\nending …')
    await cluster[Symbol.asyncDispose]()
    process.off('exit', killNow)
  }
}

/** @returns whether all is as it should be */
async function open(cluster: Cluster, telling: Telling): Promise<boolean> {
  say(`Starting PostgreSQL, NATS and ${cluster.servers.length} VPN servers; everything is in ${cluster.folder}`)
  await cluster.openGround()
  const connections = Array.from({ length: telling.users }, (_, index) => {
    const { id, region } = cluster.servers[index % cluster.servers.length] as (typeof cluster.servers)[number]
    return { id: `user-${index + 1}`, region, server: id }
  })
  await cluster.import({ servers: cluster.servers.map((row) => ({ ...row, capacity: telling.users })), connections })
  say(`Starting two engines, workers of ${regions.join(', ')}, and the vantages ${vantages.join(' and ')}`)
  await cluster.openPintail()
  const wrong = await untilRight(cluster, telling)
  if (wrong.length > 0) {
    say(`It did not come up: ${wrong.join('; ')}`)
    return false
  }
  const found = await leader(cluster)
  say(`\n${telling.users} users have access on ${cluster.servers.length} servers. ${found?.name} leads, the other one stands by.`)
  for (const name of ['engine 1', 'engine 2']) {
    const { address } = await cluster.piece(name).says(/^health is at/)
    say(`  ${name}: ${address}/api/dashboard`)
  }
  return true
}

async function killAll(cluster: Cluster, isShort: boolean, telling: Telling): Promise<number> {
  const wrong = await playAll(cluster, isShort, telling)
  if (telling.signal.aborted) return 130
  const lost = [...new Set([...wrong, ...losses(await reality(cluster), telling.users)])]
  const { ledger } = await reality(cluster)
  say(`\n${ledger.length} changes of access are in the ledger.`)
  say(`lost: ${lost.length === 0 ? 'nothing' : lost.join('; ')}`)
  return lost.length === 0 ? 0 : 1
}

/** Lines of the engines that people care for, as they come. */
function tellMoves(cluster: Cluster): void {
  const wanted = /^(incident|evacuation|server .* (is|was)|migration \S+ completed|leader)/i
  for (const name of ['engine 1', 'engine 2'])
    cluster.piece(name).listen(({ level, msg }) => {
      if (level !== 'debug' && wanted.test(msg)) say(`${new Date().toTimeString().slice(0, 8)}  ${name}  ${msg}`)
    })
}
