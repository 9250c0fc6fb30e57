import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { createFleet, type Fleet } from '@pintail/core/testing'
import type { FastifyInstance } from 'fastify'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Tokens, tokens } from '../src/auth.ts'
import { host } from '../src/host.ts'

let browser: Browser
let fleet: Fleet
let app: FastifyInstance
let signedIn: Tokens
let origin: string
let isOver: boolean
let pumping: Promise<void>
let complaints: string[]

beforeAll(async () => {
  browser = await chromium.launch({
    timeout: 120_000,
    executablePath: process.env.PINTAIL_CHROMIUM ?? '/usr/bin/chromium',
    // As root, as in a container, its sandbox does not start.
    args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), '--disable-gpu', '--disable-dev-shm-usage'],
  })
})
afterAll(() => browser.close())

beforeEach(async () => {
  fleet = await createFleet({ servers: 8, connections: 12, policy: { mode: { default: 'suggest', maintenance: 'auto' } } })
  signedIn = tokens()
  app = await host({ engine: fleet.pintail, tokens: signedIn })
  await app.listen({ host: '127.0.0.1', port: 0 })
  origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  isOver = false
  fleet.kill('s1')
  await fleet.advance(40_000)
  pumping = (async () => {
    for (let last = performance.now(); !isOver; ) {
      await pause(20)
      const passed = Math.round(performance.now() - last)
      last += passed
      await fleet.advance(passed)
    }
  })()
})
afterEach(async () => {
  isOver = true
  await pumping
  for (const context of browser.contexts()) await context.close()
  await app.close()
  await fleet.stop()
})

async function open(path: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 }, locale: 'en-GB' })
  page.setDefaultTimeout(60_000)
  complaints = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  await page.goto(origin + path)
  return page
}

const approve = async (page: Page): Promise<void> => {
  await page.locator('pintail-migrations button[data-action="evacuations:approve"]').click()
  await page.locator('pintail-migrations dialog button[type=submit]').click()
  await expect.poll(async () => (await fleet.pintail.evacuations.list())[0]?.status).not.toBe('suggested')
}

test("a plain page: the host's token, prefix, policy and look", async () => {
  const page = await open('/')
  await page.locator('pintail-migrations [part=row]').first().waitFor()
  const button = page.locator('pintail-migrations button[data-action="evacuations:approve"]')
  const look = await button.evaluate((element) => {
    const { backgroundColor, fontFamily } = getComputedStyle(element)
    return { backgroundColor, fontFamily }
  })
  expect(look.backgroundColor).toBe('rgb(122, 46, 142)')
  expect(look.fontFamily).toContain('Georgia')
  const word = page.locator('pintail-migrations [part=status]').first()
  expect(await word.evaluate((element) => getComputedStyle(element).textTransform)).toBe('uppercase')
  // What one element names, another shows.
  await page.locator('pintail-migrations [data-open=incident]').first().click()
  await page.locator('pintail-incident [part=step]').first().waitFor()
  await approve(page)
  expect(complaints).toEqual([])
})

test('a token that ends in the middle is replaced by the host, and the elements go on', async () => {
  const page = await open('/')
  await page.locator('pintail-migrations [part=row]').first().waitFor()
  signedIn.revokeAll()
  const again = page.waitForRequest((request) => request.url().endsWith('/session'))
  // Whatever is read next meets the end of the token; what is chosen here is a reading in any case.
  await page.locator('pintail-migrations select[name=state]').selectOption('failed')
  await again
  await page.locator('pintail-migrations select[name=state]').selectOption('')
  await approve(page)
  // A browser writes of each refused request; the page itself has no complaint.
  expect(complaints.filter((text) => !/status of 401/.test(text))).toEqual([])
})

test('a React page: properties and events as React writes them, elements that come and go with its state', async () => {
  const page = await open('/react')
  await page.locator('pintail-migrations [part=row]').first().waitFor()
  await approve(page)
  for (let times = 0; times < 3; times++) {
    await page.getByRole('button', { name: 'Incidents' }).click()
    await page.locator('pintail-incident a').first().waitFor()
    await page.locator('pintail-why [part=bar]').first().waitFor()
    await page.getByRole('button', { name: 'What moves' }).click()
    await page.locator('pintail-migrations h2').waitFor()
  }
  await page.getByRole('button', { name: 'Maintenance' }).click()
  await page.locator('pintail-plan input[value=s3]').check()
  await page.locator('pintail-plan [data-dry-run]').click()
  await page.locator('pintail-plan [part=bar]').first().waitFor()
  expect(complaints).toEqual([])
})

test('two versions on one page do not clash: the first one serves all', async () => {
  const page = await open('/two-versions')
  await page.locator('pintail-migrations [part=row]').first().waitFor()
  const versions = await page.evaluate(() =>
    ['session', 'map', 'guards', 'migrations', 'incident', 'why', 'plan'].map(
      (name) => (customElements.get(`pintail-${name}`) as unknown as { version: string } | undefined)?.version,
    ),
  )
  expect(new Set(versions)).toEqual(new Set(['example']))
  await approve(page)
  expect(complaints).toEqual([])
})
