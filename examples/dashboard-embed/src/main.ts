import { setTimeout as pause } from 'node:timers/promises'
import { createFleet } from '@pintail/core/testing'
import { tokens } from './auth.ts'
import { host } from './host.ts'

// A fleet in memory, whose clock runs with the wall's. Yours is real: see examples/fastify-host.
const fleet = await createFleet({ servers: 12, connections: 20, policy: { mode: 'suggest' } })
const app = await host({ engine: fleet.pintail, tokens: tokens() })
const address = await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
console.log(`plain page   ${address}/`)
console.log(`in React     ${address}/react`)
console.log('In 20 seconds s1 dies.')

const stopping = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort())
const begun = performance.now()
for (let last = begun; !stopping.signal.aborted; ) {
  await pause(50)
  const now = performance.now()
  await fleet.advance(Math.round(now - last))
  if (last - begun < 20_000 && now - begun >= 20_000) fleet.kill('s1')
  last = now
}
await app.close()
await fleet.stop()
