import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/** In the server's own process: how long it lives on after the signal. What the machine has stopped it for does not count. */
const watched = `process.once('SIGTERM', () => {
  let ticks = 0
  setInterval(() => ticks++, 10).unref()
  process.once('exit', () => console.log('\\nlived on for ' + 10 * ticks + ' ms'))
})`

test('the server starts, answers, and ends on SIGTERM with nothing left to wait for', async () => {
  const args = ['--conditions=@pintail/source', `--import=data:text/javascript,${encodeURIComponent(watched)}`]
  args.push(join(import.meta.dirname, 'server.ts'))
  const child = spawn(process.execPath, args, { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  try {
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
    const patient = { timeout: 60_000 }
    await expect.poll(() => output, patient).toMatch(/listening at http:\S+?"/)
    const address = /listening at (http:\S+?)"/.exec(output)?.[1] ?? ''
    await expect.poll(async () => (await fetch(`${address}/pintail/health`)).status, patient).toBe(200)
    const fleet = await fetch(`${address}/admin/fleet`, { headers: { authorization: 'Bearer ops-key' } })
    expect(await fleet.json()).toHaveLength(4)
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect(Number(/^lived on for (\d+) ms$/m.exec(output)?.[1])).toBeLessThan(5000)
  } finally {
    child.kill('SIGKILL')
  }
}, 240_000)
