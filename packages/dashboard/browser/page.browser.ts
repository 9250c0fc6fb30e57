import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { picture, type Stage, stage } from './stage.ts'

describe('the page over a real engine', () => {
  let world: Stage
  beforeAll(async () => {
    world = await stage({
      host: (app) => {
        // Two copies of everything, as where two widgets of a host bring their own.
        const script = (n: number): string => `<script type="module" src="pintail/dashboard/main.js?${n}"></script>`
        const html = `<!doctype html><title>Twice</title><link rel="icon" href="data:,">${script(1)}${script(2)}<pintail-dashboard url="pintail/"></pintail-dashboard>`
        app.get('/twice', (_request, reply) => reply.type('text/html').send(html))
      },
    })
  })
  afterAll(() => world.close())

  test('it answers the three questions, and raises no report of its policy', async () => {
    const { page, context, complaints } = await world.open()
    const answers = page.locator('pintail-dashboard [part=answer]')
    await answers.first().waitFor()
    await expect.poll(() => answers.nth(0).textContent()).toContain('Nothing is wrong')
    await expect.poll(() => answers.nth(1).textContent()).toContain('Nothing is moving')
    await expect.poll(() => answers.nth(2).textContent()).toContain('You need not do anything')
    await page.locator('[part=link][data-state=live]').waitFor()
    await picture(page, 'page')
    expect(complaints).toEqual({ errors: [], csp: [], foreign: [] })
    await context.close()
  })

  test('an element is registered once, whoever comes second, and says of which version it is', async () => {
    const { page, context, complaints } = await world.open('/twice')
    await page.locator('[part=answer]').first().waitFor()
    const version = await page.evaluate(() => (customElements.get('pintail-dashboard') as unknown as { version: string }).version)
    expect(version).toMatch(/^\d+\.\d+\.\d+/)
    expect(complaints).toEqual({ errors: [], csp: [], foreign: [] })
    await context.close()
  })
})
