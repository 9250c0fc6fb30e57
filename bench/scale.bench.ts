// What does watching a fleet cost? One check of each server in 10 s, an engine in auto mode, and a prober in memory that
// answers at once, so that what is measured is Pintail: timers, samples, verdicts, and the server list every 15 s.
//
// Each case runs in a process of its own and in real time. `100k` has a prober with probeMany, `100k-probe` one without.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Bench } from './harness.ts'
import type { ScaleFigures } from './scale/child.ts'

interface Case {
  readonly name: string
  readonly servers: number
  readonly prober: 'many' | 'one'
  readonly flags?: readonly string[]
}

const cases: readonly Case[] = [
  { name: '1k', servers: 1000, prober: 'many' },
  { name: '10k', servers: 10_000, prober: 'many' },
  { name: '100k', servers: 100_000, prober: 'many' },
  // Where memory is plenty V8 collects late. This is what is needed: the same in a heap of 200 MB.
  { name: '100k-heap-200', servers: 100_000, prober: 'many', flags: ['--max-old-space-size=200', '--max-semi-space-size=8'] },
  { name: '1k-probe', servers: 1000, prober: 'one' },
  { name: '10k-probe', servers: 10_000, prober: 'one' },
  { name: '100k-probe', servers: 100_000, prober: 'one' },
]
const warmUpMs = 30_000
const windowMs = 30_000

function measure({ servers, prober, flags = [] }: Case): Promise<ScaleFigures> {
  const file = join(import.meta.dirname, 'scale', 'child.ts')
  const args = [...process.execArgv, ...flags, file, String(servers), prober, String(warmUpMs), String(windowMs)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(text) as ScaleFigures)
      else reject(new Error(`the process for ${servers} servers ended with ${code}`))
    })
  })
}

const scale: Bench = async (emit, { args, progress }) => {
  const smallest = new Map<string, ScaleFigures>()
  for (const one of cases) {
    const { name, servers, prober } = one
    if (args.length > 0 && !args.includes(name)) continue
    progress(`${name}: ${(warmUpMs + windowMs) / 1000} s`)
    const seen = await measure(one)
    const aim = (text: string) => (servers === 100_000 && prober === 'many' ? { aim: text } : {})
    emit({ case: name, metric: 'cpu_share', value: seen.cpuShare, unit: 'cores', ...aim('value<=0.25') })
    emit({ case: name, metric: 'rss_mb', value: seen.rssMb, unit: 'MB', ...aim('value<=300') })
    emit({ case: name, metric: 'loop_delay_p99_ms', value: seen.delayP99Ms, unit: 'ms', ...aim('value<=20') })
    emit({ case: name, metric: 'loop_delay_mean_ms', value: seen.delayMeanMs, unit: 'ms' })
    emit({ case: name, metric: 'loop_busy_p99_ms', value: seen.busyP99Ms, unit: 'ms' })
    emit({ case: name, metric: 'checks_per_s', value: seen.checksPerS, unit: '1/s' })
    emit({ case: name, metric: 'cpu_us_per_check', value: (seen.cpuShare * 1e6) / seen.checksPerS, unit: 'us' })
    const least = smallest.get(prober)
    if (!least) smallest.set(prober, seen)
    else emit({ case: name, metric: 'cpu_growth', value: seen.cpuShare / least.cpuShare, unit: 'x', peer: '1k servers' })
  }
}

export default scale
