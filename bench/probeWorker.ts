// Inside the prober's namespace: the first line of its standard input is the task, and with each line that follows it
// makes one run, and prints what it took. CPU is that of this process and of all that it has started, kernel included.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fping } from '@pintail/adapters/fping'
import { http, tls } from '@pintail/adapters/probers'
import { icmp, isPintailError, type Prober, type ProbeTarget, tcp } from '@pintail/core'

export interface Task {
  readonly case: string
  readonly hosts: readonly string[]
  /** How many times each host is probed in a run. */
  readonly times: number
  readonly inFlight: number
  readonly port: number
  /** Packets a second of one fping. */
  readonly pace: number
  readonly wireguard?: { readonly privateKey: string; readonly servers: readonly { readonly port: number; readonly publicKey: string }[] }
}

export interface Run {
  readonly probes: number
  readonly lost: number
  readonly ms: number
  /** Microseconds of CPU, of all processes that did it. */
  readonly cpuUs: number
  readonly rttMs: readonly number[]
}

const timeoutMs = 1000
const { signal } = new AbortController()
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const task = JSON.parse((await lines.next()).value ?? '{}') as Task
const targetOf = (host: string, port: number | null = task.port): ProbeTarget =>
  // Brands are minted by parsers; a target of a benchmark is never anything but a target.
  ({ serverId: `${host}:${port}` as never, host, port, packets: 1, timeoutMs })

// Made once: an engine has its targets too.
const kept = new WeakMap<readonly string[], ProbeTarget[]>()
function targetsOf(hosts: readonly string[]): readonly ProbeTarget[] {
  const known = kept.get(hosts)
  if (known) return known
  const targets = hosts.map((host) => targetOf(host))
  kept.set(hosts, targets)
  return targets
}

/** Ticks of 10 ms, in microseconds. `children`: those that have ended and been waited for. */
function cpuOf(pid: number | 'self', whose: 'own' | 'children'): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').map(Number) ?? []
  const [user = Number.NaN, system = Number.NaN] = whose === 'own' ? fields.slice(11, 13) : fields.slice(13, 15)
  return (user + system) * 10_000
}
const ownUs = (): number => {
  const { user, system } = process.cpuUsage()
  return user + system
}
const withChildren = (): number => ownUs() + cpuOf('self', 'children')

type Method = { readonly cpuUs: () => number; readonly once: (hosts: readonly string[], inFlight: number) => Promise<(number | null)[]> }

/** Calls of `probe`, so many at once. */
const single = (prober: Prober, targets = targetsOf): Method => ({
  cpuUs: withChildren,
  once: async (hosts, inFlight) => {
    const list = targets(hosts)
    const rtts: (number | null)[] = []
    let next = 0
    const worker = async () => {
      for (let target = list[next++]; target; target = list[next++]) {
        try {
          const { rttMs, failure } = await prober.probe(target, { signal })
          if (failure && failure.kind !== 'no_reply') throw new Error(JSON.stringify(failure))
          rtts.push(rttMs[0] ?? null)
        } catch (error) {
          // A machine that is too busy to judge has lost the probe.
          if (!isPintailError(error, 'prober_unavailable')) throw error
          rtts.push(null)
        }
      }
    }
    await Promise.all(Array.from({ length: inFlight }, worker))
    return rtts
  },
})

const many = (prober: Prober): Method => ({
  cpuUs: withChildren,
  once: async (hosts) => {
    const rtts: (number | null)[] = []
    const targets = targetsOf(hosts)
    for await (const { result } of prober.probeMany?.(targets, { signal }) ?? []) rtts.push(result.rttMs[0] ?? null)
    return rtts
  },
})

const folder = join(tmpdir(), `pintail-bench-${process.pid}`)

/** The program alone, its summary into a file. This process counts for nothing. */
const bareFping = (): Method => ({
  cpuUs: () => cpuOf('self', 'children'),
  once: async (hosts) => {
    writeFileSync(`${folder}.list`, hosts.join('\n'))
    const shell = 'exec fping -C 1 -q -p 200 -t "$1" -i "$2" -f "$3" 2> "$4"'
    const interval = Math.floor(100_000 / task.pace) / 100
    const child = spawn('sh', ['-c', shell, 'sh', `${timeoutMs}`, `${interval}`, `${folder}.list`, `${folder}.out`], { stdio: 'ignore' })
    await once(child, 'exit')
    const lines = readFileSync(`${folder}.out`, 'utf8').trim().split('\n')
    return lines.map((line) => (line.endsWith(' -') ? null : Number(line.slice(line.lastIndexOf(' ')))))
  },
})

/** The exporter alone; who asks it counts for nothing. */
async function blackbox(): Promise<Method> {
  writeFileSync(`${folder}.yml`, 'modules: { icmp: { prober: icmp, timeout: 2s, icmp: { preferred_ip_protocol: ip4 } } }\n')
  const args = [`--config.file=${folder}.yml`, '--web.listen-address=127.0.0.1:9115', '--log.level=error']
  const child = spawn('prometheus-blackbox-exporter', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  process.on('exit', () => child.kill('SIGKILL'))
  const agent = new Agent({ keepAlive: true, maxSockets: task.inFlight })
  const fetchText = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const call = get({ host: '127.0.0.1', port: 9115, path, agent }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => resolve(text))
      })
      call.on('error', reject)
    })
  for (let left = 50; ; left -= 1) {
    try {
      await fetchText('/-/healthy')
      break
    } catch (error) {
      if (left === 0 || child.exitCode !== null) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  return {
    cpuUs: () => cpuOf(child.pid as number, 'own'),
    once: async (hosts, inFlight) => {
      const rtts: (number | null)[] = []
      let next = 0
      const worker = async () => {
        for (let host = hosts[next++]; host; host = hosts[next++]) {
          const text = await fetchText(`/probe?module=icmp&target=${host}`)
          const rtt = /probe_icmp_duration_seconds\{phase="rtt"\} (\S+)/.exec(text)?.[1]
          rtts.push(text.includes('probe_success 1') ? Number(rtt) * 1000 : null)
        }
      }
      await Promise.all(Array.from({ length: inFlight }, worker))
      return rtts
    },
  }
}

/** One target a server: WireGuard takes an initiation every 50 ms, whatever address it is sent to. */
async function wireguard(): Promise<Method> {
  const { privateKey, servers } = task.wireguard ?? { privateKey: '', servers: [] }
  // By a name that the compiler does not follow: the benchmark must run without it too.
  const name: string = '@pintail/adapters/wireguard'
  const { wireguardProber } = (await import(name)) as { wireguardProber: (options: object) => Prober }
  const keys = new Map(servers.map(({ port, publicKey }) => [port, publicKey]))
  const prober = wireguardProber({ privateKey, publicKeyOf: ({ port }: ProbeTarget) => keys.get(port ?? 0) })
  return single(prober, (hosts) => hosts.map((host, index) => targetOf(host, servers[index % servers.length]?.port ?? 0)))
}

const methods: Record<string, () => Method | Promise<Method>> = {
  ping: () => single(icmp()),
  fping: bareFping,
  'fping-paced': bareFping,
  'fping-adapter': () => many(fping({ packetsPerSecond: task.pace })),
  'fping-adapter-single': () => single(fping({ packetsPerSecond: task.pace })),
  'fping-adapter-paced': () => single(fping({ packetsPerSecond: task.pace })),
  tcp: () => single(tcp()),
  tls: () => single(tls({ verifyCertificate: false })),
  http: () => single(http({ secure: false })),
  wireguard,
  blackbox,
}

const method = await methods[task.case]?.()
if (!method) throw new Error(`there is no case ${task.case}`)
for await (const line of lines) {
  // Calm: one host at a time, so that nothing but the way and the method is measured.
  const calm = line === 'calm'
  const hosts = calm ? task.hosts.slice(0, 50) : task.hosts
  const rtts: (number | null)[] = []
  const cpu = method.cpuUs()
  const begun = performance.now()
  for (let time = 0; time < (calm ? 1 : task.times); time += 1) rtts.push(...(await method.once(hosts, calm ? 1 : task.inFlight)))
  const ms = performance.now() - begun
  // A process counts when it has been waited for.
  await new Promise((resolve) => setTimeout(resolve, 200))
  const rttMs = rtts.filter((one) => one !== null)
  const run: Run = { probes: rtts.length, lost: rtts.length - rttMs.length, ms, cpuUs: method.cpuUs() - cpu, rttMs }
  process.stdout.write(`${JSON.stringify(run)}\n`)
}
