// The contract of probers where something is really silent to ping: `node lab/proberContract.ts '{"prober":"fping",…}'`
// prints the rules that were kept and those that were not, as JSON.
import { fping } from '@pintail/adapters/fping'
import { icmp, type Prober, type ProbeTarget } from '@pintail/core'
import { type ProberExtra, proberContract } from '@pintail/core/testing'
import { patient, patiently } from './patient.ts'

export interface Contract {
  readonly prober: 'icmp' | 'fping'
  readonly answering: string
  readonly silent: string
}

const { prober, answering, silent } = JSON.parse(process.argv[2] ?? '{}') as Contract
const world = () => ({ prober: waiting(prober === 'icmp' ? icmp() : fping()), answering: { host: answering }, silent: { host: silent } })
// Ping is never refused; what happens without the program is asked by the tests beside the probers.
const without: ProberExtra[] = ['refusing', 'breakTool', ...(prober === 'icmp' ? (['probeMany'] as const) : [])]
const kept: string[] = []
const broken: string[] = []
/** A machine that stands still makes nobody silent: the server that answers gets all the time in the world. */
function waiting(real: Prober): Prober {
  const longer = (target: ProbeTarget) => (target.host === answering && target.timeoutMs === 1000 ? { ...target, ...patient } : target)
  const { probeMany } = real
  if (!probeMany) return { name: real.name, probe: (target, ctx) => real.probe(longer(target), ctx) }
  return {
    name: real.name,
    probe: (target, ctx) => real.probe(longer(target), ctx),
    async *probeMany(targets, ctx) {
      const given = new Map(targets.map((target) => [longer(target), target]))
      for await (const { target, result } of probeMany([...given.keys()], ctx)) yield { target: given.get(target) ?? target, result }
    },
  }
}

/** What a rule says of time, or of a program that was not let run: then the machine may have been in the way, which it is not always. */
const ofTheMachine = /it took longer than|\bsent\b|the silent one came first|prober_unavailable/

for (const { name, run, notChecked } of proberContract(world, { without, timeoutMs: 60_000, promptMs: 20_000 })) {
  if (notChecked !== null) continue
  const tried = () =>
    run().then(
      () => null,
      (error: unknown) => `${name}: ${error}`,
    )
  let fault = await tried()
  for (const end = performance.now() + patiently.timeout; fault !== null && ofTheMachine.test(fault) && performance.now() < end; )
    fault = await tried()
  if (fault === null) kept.push(name)
  else broken.push(fault)
}
console.log(JSON.stringify({ kept, broken }))
