import { memoryRegistry } from '@pintail/core'
import { expect, test } from 'vitest'
import { proberFor, withPort } from './probers.ts'

test('each word is the prober that it names', () => {
  expect(proberFor({ prober: 'icmp', tcpPort: null }).name).toBe('icmp')
  expect(proberFor({ prober: 'tcp', tcpPort: 443 }).name).toBe('tcp')
  expect(proberFor({ prober: 'icmp+tcp', tcpPort: null }).name).toBe('allOf(icmp,tcp)')
})

test("the port that was set takes the place of every server's own, and nothing else changes", async () => {
  const servers = [
    { id: 1, host: '127.0.0.1', port: 51_820, name: 'one' },
    { id: 2, host: '127.0.0.2' },
  ]
  const registry = memoryRegistry({ servers })
  const ctx = { signal: new AbortController().signal }
  expect(withPort(registry, null)).toBe(registry)
  const rows = await withPort(registry, 443).listServers(ctx)
  expect(rows).toMatchObject([
    { id: 1, port: 443, name: 'one' },
    { id: 2, port: 443 },
  ])
  async function* pages() {
    yield servers.slice(0, 1)
    yield servers.slice(1)
  }
  expect(await withPort({ ...registry, listServers: pages }, 443).listServers(ctx)).toHaveLength(2)
})
