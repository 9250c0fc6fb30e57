// A vantage elsewhere, in a namespace of its own: `node lab/vantage.ts '{"name":"tehran1","hosts":[…],"port":443,"prober":"icmp"}'`
// checks all servers again and again, and prints each sample as one line of JSON.
import type { SampleInput } from '@pintail/core'
import { type ProberName, probers } from './probers.ts'

export interface VantageSetting {
  readonly name: string
  readonly hosts: readonly string[]
  readonly port: number
  readonly prober: ProberName
  readonly everyMs: number
  readonly timeoutMs: number
}

const { name, hosts, port, prober: proberName, everyMs, timeoutMs } = JSON.parse(process.argv[2] ?? '{}') as VantageSetting
const prober = probers[proberName]()
const stopping = new AbortController()
process.stdin.on('end', () => stopping.abort()).resume()

async function check(host: string, index: number): Promise<void> {
  const serverId = `s${index + 1}`
  const sentAt = Date.now()
  // Brands are minted by parsers; a target of the lab is never anything but a target.
  const target = { serverId: serverId as never, host, port, packets: 1, timeoutMs }
  try {
    const result = await prober.probe(target, { signal: stopping.signal })
    const sample: SampleInput = { serverId, vantage: name, prober: proberName, sentAt, ...result }
    process.stdout.write(`${JSON.stringify(sample)}\n`)
  } catch {
    // A probe that could not be made is no evidence: then nothing is told.
  }
}

while (!stopping.signal.aborted) {
  const rested = new Promise((resolve) => setTimeout(resolve, everyMs))
  await Promise.all(hosts.map(check))
  await rested
}
