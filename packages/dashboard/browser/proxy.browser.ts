import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { connections, servers } from './fleets.ts'
import { stage } from './stage.ts'

/** A proxy that hands an answer on when it has the whole of it: of a live stream that is never. */
async function holdingBack(port: number): Promise<{ readonly origin: string; close(): void }> {
  const proxy = createServer((incoming, answer) => {
    const { method, url, headers } = incoming
    const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (reply) => {
      const parts: Buffer[] = []
      reply.on('data', (part: Buffer) => parts.push(part))
      reply.on('end', () => answer.writeHead(reply.statusCode ?? 502, reply.headers).end(Buffer.concat(parts)))
      reply.on('error', () => answer.destroy())
    })
    onward.on('error', () => answer.destroy())
    answer.on('close', () => onward.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const close = (): void => {
    proxy.close()
    proxy.closeAllConnections()
  }
  return { origin: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, close }
}

test('behind a proxy that holds the live stream back the page says so, and is a few seconds old', { timeout: 600_000 }, async () => {
  const world = await stage({ servers, connections })
  const proxy = await holdingBack(Number(new URL(world.origin).port))
  try {
    const { page } = await world.open()
    await page.goto(`${proxy.origin}/pintail/dashboard`)
    const link = page.locator('pintail-dashboard [part="link"]')
    await page.locator('pintail-map [data-node="ams-1"]').waitFor()
    await expect.poll(() => link.getAttribute('data-state'), { timeout: 60_000 }).toBe('polled')
    expect(await link.textContent()).toContain('Live events do not get through')
    world.fleet.kill('ams-1')
    const node = page.locator('pintail-map [data-node="ams-1"]')
    await expect.poll(() => node.getAttribute('data-state'), { timeout: 60_000 }).toBe('down')
    // What is over comes too.
    await page.locator('pintail-migrations [data-list="finished"] [data-status="completed"]').first().waitFor({ timeout: 60_000 })
    // It tries again and again to hear, and does not flicker between the two.
    const all = new Set<string | null>()
    const sixSeconds = async (): Promise<(string | null)[]> => {
      const seen = new Set<string | null>()
      for (let n = 0; n < 30; n++) {
        const state = await link.getAttribute('data-state')
        seen.add(state)
        all.add(state)
        await page.waitForTimeout(200)
      }
      return [...seen]
    }
    // Where the machine has stood still for so long that the page is old it says so, once.
    await expect.poll(sixSeconds).toEqual(['polled'])
    expect(all).not.toContain('live')
  } finally {
    proxy.close()
    await world.close()
  }
})
