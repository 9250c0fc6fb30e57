// The contract of probers where something is really silent to ping: `node lab/proberContract.ts '{"prober":"fping",…}'`
// prints the rules that were kept and those that were not, as JSON.
import { fping } from '@pintail/adapters/fping'
import { icmp } from '@pintail/core'
import { type ProberExtra, proberContract } from '@pintail/core/testing'

export interface Contract {
  readonly prober: 'icmp' | 'fping'
  readonly answering: string
  readonly silent: string
}

const { prober, answering, silent } = JSON.parse(process.argv[2] ?? '{}') as Contract
const world = () => ({ prober: prober === 'icmp' ? icmp() : fping(), answering: { host: answering }, silent: { host: silent } })
// Ping is never refused; what happens without the program is asked by the tests beside the probers.
const without: ProberExtra[] = ['refusing', 'breakTool', ...(prober === 'icmp' ? (['probeMany'] as const) : [])]
const kept: string[] = []
const broken: string[] = []
for (const { name, run, notChecked } of proberContract(world, { without, timeoutMs: 15_000 })) {
  if (notChecked !== null) continue
  await run().then(
    () => kept.push(name),
    (error: unknown) => broken.push(`${name}: ${error}`),
  )
}
console.log(JSON.stringify({ kept, broken }))
