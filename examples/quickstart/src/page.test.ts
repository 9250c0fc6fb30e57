import { request } from 'node:http'
import { createFleet } from '@pintail/core/testing'
import { expect, test } from 'vitest'
import { servePage } from './page.ts'

/** Status of an answer to a request that calls the server by this name. */
function asked(url: string, host: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
  request(url, { headers: { host } }, (response) => {
    response.resume()
    resolve(response.statusCode)
  })
    .on('error', reject)
    .end()
  return promise
}

test('a second quickstart has a port of its own, and one that cannot have the page says why and goes on', async () => {
  const fleet = await createFleet()
  const [first, second] = [await servePage(fleet.pintail, 0), await servePage(fleet.pintail, 0)]
  try {
    // Without a build of the page both say so: that is an answer too.
    for (const { url, problem } of [first, second]) expect(url === null).toBe(problem !== null)
    if (first.url !== null) expect(first.url).not.toBe(second.url)
    else expect(first.problem).toMatch(/@pintail\/dashboard/)
  } finally {
    await first.close()
    await second.close()
    await fleet.stop()
  }
})

test('a page of somebody else, whose name points to this machine, gets nothing', async () => {
  const fleet = await createFleet()
  const page = await servePage(fleet.pintail, 0)
  try {
    if (page.url === null) return expect(page.problem).toMatch(/@pintail\/dashboard/)
    expect(await asked(page.url, 'evil.example')).toBe(403)
    expect(await asked(page.url.replace('/dashboard', '/status'), new URL(page.url).host)).toBe(200)
  } finally {
    await page.close()
    await fleet.stop()
  }
})
