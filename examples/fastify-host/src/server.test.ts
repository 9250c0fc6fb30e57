import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'

test('the server starts, answers, and ends on SIGTERM with nothing left to wait for', async () => {
  const args = ['--conditions=@pintail/source', join(import.meta.dirname, 'server.ts')]
  const child = spawn(process.execPath, args, { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  try {
    let address = ''
    for await (const line of createInterface(child.stdout)) {
      address = /listening at (http:\S+?)"/.exec(line)?.[1] ?? ''
      if (address) break
    }
    child.stdout.resume()
    const until = performance.now() + 5000
    let status = 0
    while (status !== 200 && performance.now() < until) status = (await fetch(`${address}/pintail/health`)).status
    expect(status).toBe(200)
    const fleet = await fetch(`${address}/admin/fleet`, { headers: { authorization: 'Bearer ops-key' } })
    expect(await fleet.json()).toHaveLength(4)
    const stoppedAt = performance.now()
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect(performance.now() - stoppedAt).toBeLessThan(5000)
  } finally {
    child.kill('SIGKILL')
  }
}, 30_000)
