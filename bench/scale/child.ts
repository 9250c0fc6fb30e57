// One case of the benchmark `scale`: prints its figures as one line of JSON.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createPintail, memoryStore, type Prober, type ProbeTarget, type ServerRegistry } from '@pintail/core'
import { quantile } from '../harness.ts'

export interface ScaleFigures {
  readonly cpuShare: number
  readonly rssMb: number
  readonly delayMeanMs: number
  readonly delayP99Ms: number
  readonly delayMaxMs: number
  /** CPU time that the main thread takes between two ticks of 10 ms: what a delay would be on a machine with nothing else to do. */
  readonly busyP99Ms: number
  readonly checksPerS: number
}

const [servers = 0, warmUpMs = 0, windowMs = 0] = [process.argv[2], process.argv[4], process.argv[5]].map(Number)
const many = process.argv[3] === 'many'
const pageRows = 1000
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

let checks = 0
const answer = (target: ProbeTarget) => {
  checks++
  return { sent: target.packets, received: target.packets, rttMs: [20 + (checks % 10)] }
}
const prober: Prober = {
  name: 'memory',
  probe: async (target) => answer(target),
  ...(many && {
    async *probeMany(targets: readonly ProbeTarget[]) {
      for (const target of targets) yield { target, result: answer(target) }
    },
  }),
}

// As a database would: fresh rows for each listing, in pages.
const registry: ServerRegistry = {
  async *listServers() {
    for (let from = 0; from < servers; from += pageRows) {
      await new Promise((resolve) => setImmediate(resolve))
      yield Array.from({ length: Math.min(pageRows, servers - from) }, (_, index) => {
        const id = from + index
        return { id, host: `10.${id >> 16}.${(id >> 8) & 255}.${id & 255}`, name: `server ${id}`, region: 'eu', capacity: 1000, load: 500 }
      })
    }
  },
  listConnections: async () => [],
}

const pintail = createPintail({
  registry,
  mover: { move: async () => {} },
  probers: [prober],
  // What a durable store has on disk is no memory of the monitor: this one keeps a short journal.
  store: memoryStore({ journalLimit: 1000 }),
  policy: { mode: 'auto', detect: { checkIntervalMs: 10_000 } },
})
await pintail.start()
await pause(warmUpMs)

const resolutionMs = 10
const delay = monitorEventLoopDelay({ resolution: resolutionMs })
// The histogram holds the time between two ticks, which are this far apart when nothing delays them.
const beyond = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolutionMs)
const [cpuBefore, checksBefore, begun] = [process.cpuUsage(), checks, performance.now()]
delay.enable()
const busy: number[] = []
let thread = process.threadCpuUsage()
const ticks = setInterval(() => {
  const { user, system } = process.threadCpuUsage(thread)
  thread = process.threadCpuUsage()
  busy.push((user + system) / 1000)
}, resolutionMs)
let rss = 0
while (performance.now() - begun < windowMs) {
  await pause(500)
  rss = Math.max(rss, process.memoryUsage.rss())
}
delay.disable()
clearInterval(ticks)
const cpu = process.cpuUsage(cpuBefore)
const tookMs = performance.now() - begun
const { counts } = pintail.status()
if (counts.up !== servers) throw new Error(`${counts.up} of ${servers} servers are up`)
const checksPerS = ((checks - checksBefore) * 1000) / tookMs
// What was not checked costs nothing: less than the asked pace is no result.
if (checksPerS < (servers / 10) * 0.9) throw new Error(`${checksPerS.toFixed(0)} checks a second instead of ${servers / 10}`)
const figures: ScaleFigures = {
  cpuShare: (cpu.user + cpu.system) / 1000 / tookMs,
  rssMb: rss / 2 ** 20,
  delayMeanMs: beyond(delay.mean),
  delayP99Ms: beyond(delay.percentile(99)),
  delayMaxMs: beyond(delay.max),
  busyP99Ms: quantile(busy, 0.99),
  checksPerS,
}
await pintail.stop()
process.stdout.write(JSON.stringify(figures))
