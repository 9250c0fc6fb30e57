// What the broker carries for us, against what it carries bare, in the same run: commands through region workers, samples of vantages.

import { hasNats, startNats } from '../packages/adapters/test/nats.ts'
import type { Bench } from './harness.ts'
import { vantages } from './nats/vantages.ts'
import { workers } from './nats/workers.ts'

const nats: Bench = async (emit, { progress, args }) => {
  const wants = (name: string) => args.length === 0 || args.includes(name)
  for (const count of [1, 4, 16]) {
    const name = `workers-${count}`
    if (!wants(name)) continue
    if (!hasNats) {
      emit({ case: name, skipped: 'no NATS server is installed' })
      continue
    }
    await using server = await startNats()
    await workers(emit, server, count, progress)
  }
  for (const count of [1, 10, 100]) {
    const name = `vantages-${count}`
    if (!wants(name)) continue
    if (!hasNats) {
      emit({ case: name, skipped: 'no NATS server is installed' })
      continue
    }
    await using server = await startNats()
    await vantages(emit, server, count, progress)
  }
}

export default nats
