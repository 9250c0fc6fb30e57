import pintail from '@pintail/fastify-plugin'
import Fastify from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWorld, type World } from '../test/world.ts'

describe('the page as the plugin serves it', () => {
  let world: World
  const asked: string[] = []
  beforeAll(async () => {
    world = await createWorld({
      dashboard: true,
      speed: 0,
      authorize: (_request, action) => {
        asked.push(action)
        return false
      },
    })
  })
  afterAll(() => world.close())

  test('it and its files come without asking authorize, as they hold no data', async () => {
    const page = await fetch(`${world.url}/dashboard`)
    expect(page.status).toBe(200)
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const html = await page.text()
    const files = [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path]) => path as string)
    expect(files.length).toBeGreaterThan(2)
    for (const path of files) {
      // Relative, so that a proxy may put the whole anywhere.
      expect(path).toMatch(/^dashboard\//)
      expect((await fetch(`${world.url}/${path}`)).status).toBe(200)
    }
    expect(asked).toEqual([])
    expect((await fetch(`${world.url}/status`)).status).toBe(403)
  })

  test('nothing inline and nothing from elsewhere is allowed', async () => {
    const policy = (await fetch(`${world.url}/dashboard`)).headers.get('content-security-policy')
    expect(policy).toContain("default-src 'self'")
    expect(policy).not.toContain('unsafe')
    const html = await (await fetch(`${world.url}/dashboard`)).text()
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/)
  })

  test('what a browser has already is answered with 304', async () => {
    const url = `${world.url}/dashboard/main.js`
    const etag = (await fetch(url)).headers.get('etag') as string
    expect(etag).toMatch(/^"[\w-]{22}"$/)
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      const again = await fetch(url, { headers: { 'if-none-match': known } })
      expect([again.status, await again.text()]).toEqual([304, ''])
    }
    expect((await fetch(url, { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(200)
  })

  test('with a slash at the end there is a relative way back', async () => {
    const answer = await fetch(`${world.url}/dashboard/`, { redirect: 'manual' })
    expect([answer.status, answer.headers.get('location')]).toEqual([308, '../dashboard'])
    expect((await fetch(`${world.url}/dashboard/`)).url).toBe(`${world.url}/dashboard`)
  })

  test('no other file of the package can be had', async () => {
    for (const path of ['dashboard/../package.json', 'dashboard/%2e%2e%2findex.js', 'dashboard/main.ts', 'dashboard/index.html'])
      expect((await fetch(`${world.url}/${path}`)).status, path).toBe(404)
  })

  test('without the option, or without authorize, there is no page', async () => {
    const without = Fastify()
    await without.register(pintail, { pintail: world.fleet.pintail, authorize: 'host' })
    expect((await without.inject('/pintail/dashboard')).statusCode).toBe(404)
    await without.close()
    const nobody = Fastify()
    await nobody.register(pintail, { pintail: world.fleet.pintail, dashboard: true } as never)
    expect((await nobody.inject('/pintail/dashboard')).statusCode).toBe(403)
    await nobody.close()
  })
})
