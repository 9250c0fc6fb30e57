// A process of its own over a SQLite file: node --conditions=@pintail/source sqliteProcess.ts PATH WHAT
//
// `write`: commits batch after batch and says the number of each when it is kept, until it is killed.
// `read-only`: becomes a user who may not write the file, and says how a commit ends.
// `end`: commits once, closes nothing, and has nothing more to do.
// `lease`: tries for the lease until it has had it ten times, and says each token that it gets.

import type { Token } from '@pintail/core'
import { sqliteStores } from '../src/sqlite/index.ts'

const [path = '', what] = process.argv.slice(2)
const ctx = { signal: new AbortController().signal }
const say = (text: string | number): Promise<void> => new Promise((resolve) => process.stdout.write(`${text}\n`, () => resolve()))
const batchOf = (batch: number, token = 1) => ({
  token: token as Token,
  batch,
  writes: [],
  journal: [{ at: 0, type: `${batch}`, data: { text: 'x'.repeat(500) } }],
})

// Who holds the file may stand still for a while.
const { store, leases } = sqliteStores({ path, busyTimeoutMs: 60_000 })
if (what === 'write') {
  for (let batch = 1; ; batch++) {
    await store.commit(batchOf(batch), ctx)
    await say(batch)
  }
} else if (what === 'read-only') {
  if (process.getuid?.() === 0) {
    process.setgid?.(65534)
    process.setuid?.(65534)
  }
  await say(
    await store.commit(batchOf(9, 9), ctx).then(
      () => 'kept',
      (error: { code: string }) => error.code,
    ),
  )
} else if (what === 'end') {
  await store.commit(batchOf(1), ctx)
  await say('kept')
} else if (what === 'lease') {
  for (let had = 0; had < 10; ) {
    const lease = await leases.acquire(`${process.pid}`, 3_600_000, ctx)
    if (!lease) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      continue
    }
    had++
    await store.commit(batchOf(1, lease.token), ctx)
    await say(lease.token)
    await leases.release(lease, ctx)
  }
}
