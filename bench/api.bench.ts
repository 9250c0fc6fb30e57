// What the HTTP API costs beside what it is made of: lists of 100,000 migrations, and a thousand live clients.
// `npm run bench -- api [sse-1000] [sse-slow] [list-100k]`
import { list100k } from './api/lists.ts'
import { sse1000, sseSlow } from './api/streams.ts'
import type { Bench } from './harness.ts'

const cases = { 'sse-1000': sse1000, 'sse-slow': sseSlow, 'list-100k': list100k } as const

const api: Bench = async (emit, { args, progress }) => {
  for (const [name, run] of Object.entries(cases)) if (args.length === 0 || args.includes(name)) await run(emit, progress)
}

export default api
