import type { FastifyInstance } from 'fastify'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { connections, servers } from './fleets.ts'
import { picture, type Stage, stage } from './stage.ts'

const nothing = { errors: [], csp: [], foreign: [] }

/** A host's page: its own prefix, its own policy, its own token, elements of its choice. */
function hostPage(app: FastifyInstance, body: string, script: string): void {
  app.get('/panel/host.js', (_request, reply) => reply.type('text/javascript').send(script))
  app.get('/panel/', (_request, reply) =>
    reply
      .header('content-security-policy', "default-src 'self'; base-uri 'none'")
      .type('text/html')
      .send(
        `<!doctype html><html lang="en"><title>Host</title><link rel="icon" href="/api/v2/pintail/dashboard/icon.svg">
        <script type="module" src="/api/v2/pintail/dashboard/main.js"></script><script type="module" src="/panel/host.js"></script>${body}</html>`,
      ),
  )
}

function requireToken(app: FastifyInstance, good: () => string): void {
  app.addHook('preHandler', async ({ url, headers }, reply) => {
    if (url.startsWith('/api/') && !url.includes('/dashboard') && headers.authorization !== `Bearer ${good()}`)
      await reply
        .code(401)
        .type('application/problem+json')
        .send(JSON.stringify({ type: 'urn:host:who', title: 'Who are you?', detail: 'Sign in.' }))
  })
}

describe("elements in a host's page", () => {
  let world: Stage
  let token = 'first'
  beforeAll(async () => {
    world = await stage({
      servers,
      connections,
      routePrefix: '/api/v2/pintail',
      host: (app) => {
        requireToken(app, () => token)
        hostPage(
          app,
          '<pintail-session id="s" url="/api/v2/pintail"><h1>My panel</h1><pintail-map></pintail-map><pintail-guards></pintail-guards></pintail-session>',
          `document.getElementById('s').token = 'first'
           window.asked = 0
           addEventListener('pintail-unauthorized', (event) => { window.asked++; window.session = event.detail.session })`,
        )
      },
    })
  })
  afterAll(() => world.close())

  test("they use the host's token, prefix and policy, and share one session", async () => {
    const { page, context, complaints } = await world.open('/panel/')
    await page.locator('pintail-map [data-node="ams-1"]').waitFor()
    await page.locator('pintail-guards .calm').waitFor()
    expect(complaints.csp).toEqual([])
    expect(complaints.foreign).toEqual([])
    await expect.poll(world.streams).toBe(1)
    await picture(page, 'embedded')
    await context.close()
    await expect.poll(world.streams).toBe(0)
  })

  test("the host's variables and parts give them its look", async () => {
    const { page, context } = await world.open('/panel/')
    await page.locator('pintail-map [data-node="ams-1"]').waitFor()
    const colour = await page.evaluate(() => {
      const map = document.querySelector('pintail-map') as HTMLElement
      map.style.setProperty('--pintail-raised', 'rgb(1, 2, 3)')
      return getComputedStyle(map.shadowRoot?.querySelector('.card') as Element).backgroundColor
    })
    expect(colour).toBe('rgb(1, 2, 3)')
    await page.evaluate(() => document.querySelector('pintail-guards')?.setAttribute('theme', 'dark'))
    await expect
      .poll(() => page.evaluate(() => getComputedStyle(document.querySelector('pintail-guards') as Element).colorScheme))
      .toBe('dark')
    await context.close()
  })

  test('401 in the middle is told to the host, which signs in again', async () => {
    const { page, context } = await world.open('/panel/')
    await page.locator('pintail-map [data-node="ams-1"]').waitFor()
    token = 'second'
    await world.restart()
    await expect.poll(() => page.evaluate(() => (window as unknown as { asked: number }).asked), { timeout: 60_000 }).toBeGreaterThan(0)
    await page.evaluate(() => (window as unknown as { session: { signIn(token: string): void } }).session.signIn('second'))
    await page.locator('pintail-map [data-node="ams-1"]').waitFor()
    token = 'first'
    await context.close()
  })
})

describe('the ready-made page where the API wants a token', () => {
  let world: Stage
  beforeEach(async () => {
    world = await stage({ routePrefix: '/api/v1/pintail', host: (app) => requireToken(app, () => 'good') })
  })
  afterEach(() => world.close())

  test('it asks for one, says when it is wrong, keeps it for the tab, and forgets it at sign-out', async () => {
    const { page, complaints, context } = await world.open()
    const field = page.getByLabel('Access token')
    await field.fill('wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('This token was not accepted.').waitFor()
    await picture(page, 'sign-in')
    await field.fill('good')
    await field.press('Enter')
    await page.locator('pintail-map [data-node=s1]').waitFor()
    await page.reload()
    await page.locator('pintail-map [data-node=s1]').waitFor()
    expect(page.url()).not.toContain('good')
    expect(await page.evaluate(() => document.documentElement.outerHTML.includes('good'))).toBe(false)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await field.waitFor()
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0)
    // The browser itself tells each refused request on its console.
    expect(complaints.errors.filter((text) => !/status of 401/.test(text))).toEqual([])
    expect(complaints.csp).toEqual([])
    await context.close()
  })

  test('a host that signs in itself is told, and no form is shown', async () => {
    const { page, context } = await world.open()
    await page.getByLabel('Access token').waitFor()
    await page.evaluate(() => {
      addEventListener('pintail-unauthorized', (event) => {
        event.preventDefault()
        Object.assign(window, { session: (event as CustomEvent).detail.session })
      })
      // The same element anew, as a host's page would have it.
      const dashboard = document.querySelector('pintail-dashboard') as HTMLElement
      const parent = dashboard.parentNode
      dashboard.remove()
      parent?.append(dashboard)
    })
    await page.waitForFunction(() => 'session' in window)
    await expect.poll(() => page.getByLabel('Access token').count()).toBe(0)
    await page.evaluate(() => (window as unknown as { session: { signIn(token: string): void } }).session.signIn('good'))
    await page.locator('pintail-map [data-node=s1]').waitFor()
    await context.close()
  })
})

describe('a page that is kept open', () => {
  let world: Stage
  beforeAll(async () => {
    world = await stage({ servers, connections, speed: 10 })
  })
  afterAll(() => world.close())

  test('an outage is seen from green to red to green', async () => {
    const { page, complaints, context } = await world.open()
    const state = (): Promise<string | null> => page.locator('pintail-map [data-node="fra-1"]').getAttribute('data-state')
    await page.locator('pintail-map [data-node="fra-1"]').waitFor()
    expect(await state()).toBe('up')
    world.fleet.kill('fra-1')
    await expect.poll(state, { timeout: 60_000 }).toBe('down')
    await page.getByText('1 server down').waitFor()
    await page.locator('pintail-map [part=arrow][data-from="fra-1"][data-status=completed]').first().waitFor({ timeout: 60_000 })
    world.fleet.revive('fra-1')
    await expect.poll(state, { timeout: 60_000 }).toBe('up')
    await page.getByText('Nothing is wrong').waitFor()
    expect(complaints).toEqual(nothing)
    await context.close()
  })

  test('two tabs share one stream, and when the first closes the second goes on', async () => {
    const { page, context } = await world.open()
    await page.locator('pintail-map [data-node="ams-1"]').waitFor()
    const other = await context.newPage()
    await other.goto(page.url())
    await other.locator('[part=link][data-state=live]').waitFor()
    await expect.poll(world.streams).toBe(1)
    await page.close()
    await expect.poll(world.streams).toBe(1)
    await world.fleet.pintail.pause('all')
    await other.locator('[part=answer]').getByText('Paused: no move begins').waitFor()
    await world.fleet.pintail.resume('all')
    await context.close()
  })

  test('a server that restarts makes it stale for a while, and it comes back by itself', async () => {
    const { page, context } = await world.open()
    await page.locator('[part=link][data-state=live]').waitFor()
    const seen = page.locator('[part=link][data-state=stale]').waitFor()
    const looked = seen.then(() => page.locator('pintail-map [data-node="ams-1"]').isVisible())
    await world.restart(looked)
    expect(await looked).toBe(true)
    await page.locator('[part=link][data-state=live]').waitFor({ timeout: 60_000 })
    await context.close()
  })

  test('an element that is taken out of the page leaves no stream behind', async () => {
    const { page, context } = await world.open()
    await page.locator('[part=link][data-state=live]').waitFor()
    await expect.poll(world.streams).toBe(1)
    await page.evaluate(() => document.querySelector('pintail-dashboard')?.remove())
    await expect.poll(world.streams).toBe(0)
    // What was on its way may still come, and then nothing more.
    const more = async (): Promise<number> => {
      const asked = world.requests.length
      await page.waitForTimeout(2000)
      return world.requests.length - asked
    }
    await expect.poll(more).toBe(0)
    await context.close()
  })
})
