// What does watching a fleet cost? One check of each server in 10 s, an engine in auto mode, and a prober in memory that
// answers at once, so that what is measured is Pintail: timers, samples, verdicts, and the server list every 15 s.
//
// Each case runs in a process of its own and in real time. `100k` has a prober with probeMany, `100k-probe` one without.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Bench } from './harness.ts'
import type { ScaleFigures } from './scale/child.ts'

const sizes = { '1k': 1000, '10k': 10_000, '100k': 100_000 } as const
const warmUpMs = 35_000
const windowMs = 40_000

function measure(servers: number, prober: 'many' | 'one'): Promise<ScaleFigures> {
  const file = join(import.meta.dirname, 'scale', 'child.ts')
  const child = spawn(process.execPath, [...process.execArgv, file, String(servers), prober, String(warmUpMs), String(windowMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
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
  for (const prober of ['many', 'one'] as const) {
    let smallest: ScaleFigures | null = null
    for (const [size, servers] of Object.entries(sizes)) {
      const name = prober === 'many' ? size : `${size}-probe`
      if (args.length > 0 && !args.includes(name)) continue
      progress(`${name}: ${(warmUpMs + windowMs) / 1000} s`)
      const seen = await measure(servers, prober)
      const aims = name === '100k'
      emit({ case: name, metric: 'cpu_share', value: seen.cpuShare, unit: 'cores', ...(aims && { aim: 'value<=0.25' }) })
      emit({ case: name, metric: 'rss_mb', value: seen.rssMb, unit: 'MB', ...(aims && { aim: 'value<=300' }) })
      emit({ case: name, metric: 'loop_delay_p99_ms', value: seen.delayP99Ms, unit: 'ms', ...(aims && { aim: 'value<=20' }) })
      emit({ case: name, metric: 'loop_delay_mean_ms', value: seen.delayMeanMs, unit: 'ms' })
      emit({ case: name, metric: 'loop_delay_max_ms', value: seen.delayMaxMs, unit: 'ms' })
      emit({ case: name, metric: 'checks_per_s', value: seen.checksPerS, unit: '1/s' })
      emit({ case: name, metric: 'cpu_us_per_check', value: (seen.cpuShare * 1e6) / seen.checksPerS, unit: 'us' })
      smallest ??= seen
      if (smallest === seen) continue
      const peer = 'the smallest case'
      const ratio = seen.cpuShare / smallest.cpuShare
      emit({ case: name, metric: 'cpu_growth', value: ratio, unit: 'x', peer, ratio })
    }
  }
}

export default scale
