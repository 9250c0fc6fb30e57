import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seriousViolations } from './axe.ts'
import { connections, hostile, servers } from './fleets.ts'
import { picture, type Stage, stage } from './stage.ts'

/** What has the focus, through shadow roots: its id, or its tag. */
const focused = (page: Page): Promise<string> =>
  page.evaluate(() => {
    let at = document.activeElement
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
    return at ? at.id || at.tagName.toLowerCase() : ''
  })

const stages = (page: Page): Promise<(string | null)[]> =>
  page.locator('pintail-incident [part=step]').evaluateAll((steps) => steps.map((step) => step.getAttribute('data-state')))

describe('a fleet with one outage', () => {
  let world: Stage
  let incidentId: string
  let decisionId: string
  beforeAll(async () => {
    world = await stage({ servers, connections, policy: { mode: { default: 'suggest', maintenance: 'auto' } } })
    world.fleet.kill('ams-1')
    await world.fleet.advance(30_000)
    const [incident] = await world.fleet.pintail.incidents.list()
    incidentId = String(incident?.id)
    decisionId = String(incident?.decisionId)
  })
  afterAll(() => world.close())

  test('its incident is told from evidence to outcome; a deep link opens it, and back closes it', async () => {
    const { page, context, complaints } = await world.open(`/pintail/dashboard#pintail-incident=${incidentId}`)
    await page.locator('pintail-incident [part=step]').first().waitFor()
    await expect.poll(() => stages(page)).toEqual(['done', 'done', 'done', 'trouble', 'waiting'])
    await page.locator('pintail-incident svg.plot').first().waitFor()
    await picture(page, 'incident', 'pintail-incident')
    // The picture has a twin with the same samples.
    await page.locator('pintail-incident [data-twin]').click()
    await expect.poll(() => page.locator('pintail-incident table tbody tr').count()).toBeGreaterThan(3)
    await page.locator('pintail-incident [data-twin]').click()
    await page.locator('pintail-incident [data-back]').click()
    await page.locator('pintail-incident .list a').first().waitFor()
    expect(new URL(page.url()).hash).toBe('')
    await expect.poll(() => focused(page)).toBe('title')
    await page.goBack()
    await page.locator('pintail-incident [part=step]').first().waitFor()
    expect(complaints).toEqual({ errors: [], csp: [], foreign: [] })
    await context.close()
  })

  test('an incident that does not exist is said to be unknown, beside the list', async () => {
    const { page, context } = await world.open('/pintail/dashboard#pintail-incident=no%20such')
    await page.getByText('There is no such incident').waitFor()
    await page.locator('pintail-incident .list a').first().waitFor()
    await context.close()
  })

  test('its decision shows each score as a stack of its parts, with a table that says the same', async () => {
    const { page, context, complaints } = await world.open()
    await page.locator('pintail-migrations [data-open=decision]').first().click()
    await page.locator('pintail-why [part=bar]').first().waitFor()
    expect(new URL(page.url()).hash).toBe(`#pintail-decision=${decisionId}`)
    const { cohorts } = await world.fleet.pintail.decision(decisionId)
    const scored = cohorts[0]?.candidates.flatMap((one) => ('score' in one ? [one] : [])) ?? []
    // A few at first, the best of them; all when they are asked for.
    expect(await page.locator('pintail-why [data-server]').count()).toBeLessThan(scored.length)
    await picture(page, 'why', 'pintail-why')
    await page.locator('pintail-why [data-more]').click()
    await expect.poll(() => page.locator('pintail-why [data-server]').count()).toBe(scored.length)
    const drawn = await page.locator('pintail-why [data-server]').evaluateAll((rows) =>
      rows.map((row) => ({
        id: row.getAttribute('data-server'),
        width: [...row.querySelectorAll('rect')].reduce((sum, rect) => sum + Number(rect.getAttribute('width')), 0),
      })),
    )
    expect(drawn.map(({ id }) => id)).toEqual(scored.map(({ serverId }) => serverId))
    for (const [index, { width }] of drawn.entries()) expect(width).toBeCloseTo((scored[index]?.score ?? -1) * 100, 6)
    await page.locator('pintail-why [data-twin]').click()
    await expect.poll(() => page.locator('pintail-why table tbody tr').count()).toBe(scored.length)
    expect(complaints).toEqual({ errors: [], csp: [], foreign: [] })
    await context.close()
  })

  test('axe-core finds nothing serious with all of it open, light and dark, on a phone and on a wall', { timeout: 600_000 }, async () => {
    for (const [colorScheme, width] of [
      ['light', 375],
      ['dark', 1280],
      ['dark', 375],
      ['light', 2560],
    ] as const) {
      const { page, context } = await world.open(`/pintail/dashboard#pintail-incident=${incidentId}`, {
        colorScheme,
        viewport: { width, height: 900 },
      })
      await page.locator('pintail-incident [part=step]').first().waitFor()
      await page.locator('pintail-why [part=bar]').first().waitFor()
      await page.locator('pintail-plan input[value=fra-1]').check()
      await page.locator('pintail-plan [data-dry-run]').click()
      await page.locator('pintail-plan [part=bar]').first().waitFor()
      expect(await seriousViolations(page), `${colorScheme} ${width}`).toEqual([])
      await picture(page, `all-${colorScheme}-${width}`)
      for (const one of ['incident', 'why', 'plan']) await page.locator(`pintail-${one} [data-twin]`).click()
      expect(await seriousViolations(page), `${colorScheme} ${width}, tables`).toEqual([])
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      await picture(page, `tables-${colorScheme}-${width}`)
      expect(overflow, `${colorScheme} ${width}`).toBeLessThanOrEqual(0)
      await context.close()
    }
  })

  test('a drain is planned and carried out by keyboard alone', async () => {
    const { page, context, complaints } = await world.open()
    const box = page.locator('pintail-plan input[value=sgp-1]')
    await box.focus()
    await page.keyboard.press('Space')
    // Enter in the form asks for the dry run.
    await page.keyboard.press('Enter')
    await page.locator('pintail-plan #result').waitFor()
    await expect.poll(() => focused(page)).toBe('result')
    expect(await page.locator('pintail-plan #result').textContent()).toMatch(/26 users would go to \d+ servers/)
    await picture(page, 'plan', 'pintail-plan')
    await page.locator('pintail-plan button[data-action="servers:drain"]').focus()
    await page.keyboard.press('Enter')
    await page.getByText('Empty this server?').waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.locator('pintail-plan #begun').waitFor()
    await expect.poll(() => focused(page)).toBe('begun')
    const evacuations = await world.fleet.pintail.evacuations.list()
    expect(evacuations.find(({ fromServerIds }) => String(fromServerIds) === 'sgp-1')).toMatchObject({
      connections: 26,
      reason: 'maintenance',
    })
    expect(complaints).toEqual({ errors: [], csp: [], foreign: [] })
    await context.close()
  })

  test('a plan that has gone stale does nothing, shows what has changed, and offers the new one', async () => {
    const { page, context } = await world.open()
    await page.locator('pintail-plan input[value=nyc-1]').check()
    await page.locator('pintail-plan [data-dry-run]').click()
    const target = await page.locator('pintail-plan [part=bars] [data-server]').nth(1).getAttribute('data-server')
    await world.fleet.pintail.cordon(String(target))
    const before = (await world.fleet.pintail.evacuations.list()).length
    await page.locator('pintail-plan button[data-action="servers:drain"]').click()
    await page.locator('pintail-plan dialog button[type=submit]').click()
    const stale = page.locator('pintail-plan #stale')
    await stale.waitFor()
    expect(await stale.textContent()).toContain(String(target))
    await expect.poll(() => focused(page)).toBe('stale')
    expect((await world.fleet.pintail.evacuations.list()).length).toBe(before)
    await picture(page, 'plan-stale', 'pintail-plan')
    await page.locator('pintail-plan button[data-action="servers:drain"]').click()
    await page.locator('pintail-plan dialog button[type=submit]').click()
    await page.locator('pintail-plan #begun').waitFor()
    expect((await world.fleet.pintail.evacuations.list()).length).toBe(before + 1)
    await world.fleet.pintail.uncordon(String(target))
    await context.close()
  })

  test('an outage is acknowledged in its story', async () => {
    const { page, context } = await world.open(`/pintail/dashboard#pintail-incident=${incidentId}`)
    await page.locator('pintail-incident button[data-action="incidents:acknowledge"]').click()
    await page.locator('pintail-incident dialog button[type=submit]').click()
    await page.locator('pintail-incident .head').getByText('acknowledged').waitFor()
    expect((await world.fleet.pintail.incidents.get(incidentId)).acknowledgedAt).not.toBeNull()
    await context.close()
  })

  test('what a viewer may not do is refused once, and then disabled with the reason', async () => {
    const other = await stage({
      servers,
      connections,
      policy: { mode: 'suggest' },
      authorize: (_request, action) => action.endsWith(':read'),
    })
    try {
      other.fleet.kill('ams-1')
      const { page, context } = await other.open()
      const button = page.locator('pintail-migrations [data-evacuation] button[data-action="evacuations:approve"]')
      await button.click({ timeout: 60_000 })
      await page.locator('pintail-migrations dialog button[type=submit]').click()
      await page.locator('pintail-migrations dialog [role=alert]').getByText('You may not do this.').waitFor()
      await page.keyboard.press('Escape')
      await expect.poll(() => button.getAttribute('aria-disabled')).toBe('true')
      await context.close()
    } finally {
      await other.close()
    }
  })
})

test('hostile names are text in every element, and the layout is intact', async () => {
  const users = Object.fromEntries(
    hostile.map(({ id, name }) => [
      id,
      Array.from({ length: 5 }, (_, n) => ({ id: `${name.slice(0, 60)}${n}`, region: name.slice(0, 200) })),
    ]),
  )
  const world = await stage({ servers: hostile, connections: users, policy: { mode: 'suggest' } })
  try {
    world.fleet.kill('h1')
    await world.fleet.advance(30_000)
    for (const width of [375, 1280]) {
      const { page, context, complaints } = await world.open(undefined, { viewport: { width, height: 900 } })
      await page.locator('pintail-incident a').first().click()
      await page.locator('pintail-incident [part=step]').first().waitFor()
      await page.locator('pintail-why [part=bar]').first().waitFor()
      await page.locator('pintail-migrations .fold').first().click()
      await page.locator('pintail-plan input[value=h0]').check()
      await page.locator('pintail-plan [data-dry-run]').click()
      await page.locator('pintail-plan [part=bar]').first().waitFor()
      expect(await page.title()).toBe('Pintail')
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
      for (const one of ['migrations', 'incident', 'why', 'plan']) {
        const wide = await page.locator(`pintail-${one}`).evaluate((element) => {
          const { right } = element.getBoundingClientRect()
          return [...(element.shadowRoot?.querySelectorAll('.card *') ?? [])]
            .filter(
              (part) =>
                !part.closest('.scroll') &&
                !part.closest('.choices') &&
                !part.closest('.unseen') &&
                part.getBoundingClientRect().right > right + 1,
            )
            .map((part) => `${part.tagName} ${part.className}`)
        })
        expect(wide, `${one} ${width}`).toEqual([])
        expect(await page.locator(`pintail-${one} img`).count()).toBe(0)
      }
      await picture(page, `hostile-stories-${width}`)
      expect(await seriousViolations(page)).toEqual([])
      expect(complaints).toEqual({ errors: [], csp: [], foreign: [] })
      await context.close()
    }
  } finally {
    await world.close()
  }
})
