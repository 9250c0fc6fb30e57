import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { picture, type Stage, stage } from './stage.ts'

describe('guards', () => {
  let world: Stage
  beforeAll(async () => {
    world = await stage({ servers: 8, policy: { mode: 'auto' }, speed: 6 })
  })
  afterAll(() => world.close())

  test('a mass failure is held, said why, acknowledged and overridden with an expiry, by keyboard', async () => {
    const { page, context, complaints } = await world.open()
    await page.locator('pintail-guards .calm').waitFor()
    for (const id of ['s1', 's2', 's3', 's4']) world.fleet.kill(id)
    const held = page.locator('pintail-guards [data-entry=incident]')
    await held.locator('[data-guard=mass_failure]').first().waitFor({ timeout: 60_000 })
    expect(await held.first().textContent()).toContain('What helps')
    await picture(page, 'guards-held', 'pintail-guards')
    await held.first().locator('[data-action="incidents:acknowledge"]').focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Is this outage known?' }).waitFor()
    await picture(page, 'guards-dialog')
    await page.keyboard.press('Escape')
    const focused = (): Promise<string | undefined> =>
      page.evaluate(() => (document.activeElement?.shadowRoot?.activeElement?.shadowRoot?.activeElement as HTMLElement)?.dataset.action)
    await expect.poll(focused).toBe('incidents:acknowledge')
    expect((await world.fleet.pintail.incidents.list()).every(({ acknowledgedAt }) => acknowledgedAt === null)).toBe(true)
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Acknowledge', exact: true }).click()
    await page.locator('pintail-guards li.known').first().waitFor()
    const override = page.locator('pintail-guards [data-action="incidents:override-guard"]').first()
    await override.click()
    await page.getByLabel('Ends by itself').selectOption({ label: '1 hour' })
    await page.getByRole('button', { name: 'Override', exact: true }).click()
    await expect
      .poll(async () => (await world.fleet.pintail.incidents.list()).filter(({ overrideUntil }) => overrideUntil !== null).length, {
        timeout: 60_000,
      })
      .toBe(1)
    expect(complaints).toEqual({ errors: [], csp: [], foreign: [] })
    await context.close()
  })

  test('a pause has a reason and an end, is seen at once, and is lifted', async () => {
    const { page, context } = await world.open()
    await page.locator('pintail-guards [data-action="fleet:pause"]').click()
    await page.locator('pintail-guards').getByLabel('Reason').fill('works on the uplink <img src=x onerror=alert(1)>')
    await page.getByLabel('Ends by itself').selectOption({ label: '15 minutes' })
    await page.getByRole('button', { name: 'Pause', exact: true }).click()
    const entry = page.locator('pintail-guards [data-entry=pause]')
    await entry.waitFor()
    expect(await entry.textContent()).toContain('works on the uplink <img src=x onerror=alert(1)>')
    expect(world.fleet.pintail.status().pauses).toMatchObject([{ scope: 'all', until: expect.any(Number) }])
    await entry.locator('[data-action="fleet:resume"]').click()
    await page.getByRole('dialog').getByRole('button', { name: 'Resume', exact: true }).click()
    await entry.waitFor({ state: 'detached' })
    expect(world.fleet.pintail.status().pauses).toEqual([])
    await context.close()
  })
})
