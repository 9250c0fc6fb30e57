import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { createWorld, type World, type WorldOptions } from '../test/world.ts'

/** What a page has said that it should not have. */
export interface Complaints {
  readonly errors: string[]
  /** Reports of the Content-Security-Policy. */
  readonly csp: string[]
  /** Requests to anywhere but the stage. */
  readonly foreign: string[]
}

export interface Visit {
  readonly page: Page
  readonly context: BrowserContext
  readonly complaints: Complaints
}

/** A real engine behind the real plugin, and a real Chromium that looks at it. */
export interface Stage extends World {
  readonly browser: Browser
  /** @param path default: the ready-made page */
  open(path?: string, options?: BrowserContextOptions): Promise<Visit>
}

export async function stage(options: WorldOptions = {}): Promise<Stage> {
  const world = await createWorld({ dashboard: true, ...options })
  const browser = await launch()
  return {
    ...world,
    browser,
    open: (path = `${options.routePrefix ?? '/pintail'}/dashboard`, how = {}) => open(browser, world.origin, path, how),
    async close() {
      await browser.close()
      await world.close()
    },
  }
}

function launch(): Promise<Browser> {
  return chromium.launch({
    timeout: 120_000,
    executablePath: process.env.PINTAIL_CHROMIUM ?? '/usr/bin/chromium',
    // As root, as in a container, its sandbox does not start.
    args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), '--disable-gpu', '--disable-dev-shm-usage', '--force-color-profile=srgb'],
  })
}

async function open(browser: Browser, origin: string, path: string, options: BrowserContextOptions): Promise<Visit> {
  const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'UTC', viewport: { width: 1280, height: 900 }, ...options })
  const complaints: Complaints = { errors: [], csp: [], foreign: [] }
  context.setDefaultTimeout(60_000)
  const page = await context.newPage()
  watch(page, origin, complaints)
  context.on('page', (other) => watch(other, origin, complaints))
  await page.goto(origin + path)
  return { page, context, complaints }
}

function watch(page: Page, origin: string, complaints: Complaints): void {
  page.on('pageerror', (error) => complaints.errors.push(String(error)))
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return
    if (/Content Security Policy|Trusted ?Type/i.test(message.text())) complaints.csp.push(message.text())
    else complaints.errors.push(message.text())
  })
  page.on('request', (request) => {
    const url = request.url()
    if (!url.startsWith(origin) && !url.startsWith('data:') && !url.startsWith('about:')) complaints.foreign.push(url)
  })
}

/** Where pictures go; `PINTAIL_SCREENSHOTS=docs/screenshots` puts them where the README shows them. */
const folder = process.env.PINTAIL_SCREENSHOTS ?? join(import.meta.dirname, 'out')

/** The whole page, or one element of it, as PNG. */
export async function picture(page: Page, name: string, selector?: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const image = selector ? await page.locator(selector).first().screenshot() : await page.screenshot({ fullPage: true })
  await writeFile(join(folder, `${name}.png`), image)
}
