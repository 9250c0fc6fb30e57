// What a WireGuard handshake costs the prober: CPU time, handshakes a second, and how long one takes that waits for nothing.
// The servers are another process: on a machine that is busy, or has one core, they slow the figures down.
// Then what a user notices of an outage and of a drain: wireguardOutage.ts. `npm run bench -- wireguard handshake` (or outage, or drain) runs one part.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { wireguardProber } from '@pintail/adapters/wireguard'
import type { Prober } from '@pintail/core'
import { keyPair } from '../packages/adapters/test/wireguardServer.ts'
import { hasCommand } from '../scripts/lib/debian.ts'
import { type Bench, type Emit, quantile } from './harness.ts'

const servers = 60
const packets = 20

interface Target {
  readonly index: number
  readonly port: number
  readonly publicKey: string
}

function probe(prober: Prober, targets: readonly Target[], count: number) {
  const { signal } = new AbortController()
  const target = { host: '127.0.0.1', packets: count, timeoutMs: 5000 }
  return Promise.all(targets.map(({ port, index }) => prober.probe({ ...target, serverId: `${index}` as never, port }, { signal })))
}

async function handshakes(emit: Emit): Promise<void> {
  const { privateKey, publicKey } = keyPair()
  const child = spawn(process.execPath, [...process.execArgv, join(import.meta.dirname, 'wireguardServers.ts'), `${servers}`, publicKey], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  const targets: Target[] = JSON.parse(line).map((one: Omit<Target, 'index'>, index: number) => ({ ...one, index }))
  const prober = wireguardProber({ privateKey, publicKeyOf: ({ serverId }) => targets[Number(serverId)]?.publicKey })
  await probe(prober, targets, 2)

  const [cpu, begun] = [process.cpuUsage(), performance.now()]
  const results = await probe(prober, targets, packets)
  const [used, tookMs] = [process.cpuUsage(cpu), performance.now() - begun]
  const received = results.reduce((sum, result) => sum + result.received, 0)
  const calm: number[] = []
  for (const one of targets) calm.push(...((await probe(prober, [one], 1))[0]?.rttMs ?? []))
  // What has no answer within 5 s: on a machine that is busy with other things.
  emit({ case: `${servers} servers at once`, metric: 'unanswered', value: servers * packets - received, unit: '1' })
  emit({ case: `${servers} servers at once`, metric: 'handshakes_per_second', value: (received * 1000) / tookMs, unit: '1/s' })
  emit({ case: `${servers} servers at once`, metric: 'cpu_per_handshake', value: (used.user + used.system) / received, unit: 'us' })
  emit({
    case: `${servers} servers at once`,
    metric: 'rtt_p99',
    value: quantile(
      results.flatMap(({ rttMs }) => rttMs),
      0.99,
    ),
    unit: 'ms',
  })
  emit({ case: 'one at a time', metric: 'rtt_median', value: quantile(calm, 0.5), unit: 'ms' })
  emit({ case: 'one at a time', metric: 'rtt_p99', value: quantile(calm, 0.99), unit: 'ms' })
  child.stdin.end()
}

const commands = ['ip', 'nft', 'ping', 'wireguard-go', 'wg', 'nats-server']

/** What this machine lacks for servers of its own; null: nothing. */
function lacking(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux'
  const missing = commands.filter((command) => !hasCommand(command))
  return missing.length === 0 ? null : `needs ${missing.join(', ')}: npm run lab -- --install`
}

const bench: Bench = async (emit, { args, progress }) => {
  const wanted = (name: string): boolean => args.length === 0 || args.includes(name)
  if (wanted('handshake')) await handshakes(emit)
  const skipped = lacking()
  for (const name of ['outage', 'drain'] as const) {
    if (!wanted(name)) continue
    if (skipped !== null) emit({ case: name, skipped })
    // Loaded only here: whoever has no broker's client can still have the figures of the prober.
    else await (await import('./wireguardOutage.ts'))[name](emit, progress)
  }
}
export default bench
