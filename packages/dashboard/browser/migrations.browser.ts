import type { Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
import { seriousViolations } from './axe.ts'
import { connections, servers } from './fleets.ts'
import { type Gate, gate } from './gate.ts'
import { picture, type Stage, stage } from './stage.ts'

let world: Stage
let door: Gate
afterEach(async () => {
  door.openAll()
  await world.close()
})

async function begin(options: Parameters<typeof stage>[0] = {}): Promise<Page> {
  door = gate()
  world = await stage({ servers, connections, replace: door.replace, ...options })
  const { page } = await world.open()
  await page.locator('pintail-migrations h2').waitFor()
  return page
}

/** They die, and it is confirmed: in the world's time, however slow the machine is. */
async function outage(...ids: readonly string[]): Promise<void> {
  for (const id of ids) world.fleet.kill(id)
  await world.fleet.advance(30_000)
}

const list = (page: Page, which: 'open' | 'finished') => page.locator(`pintail-migrations [data-list=${which}]`)

const hasFocus = (page: Page, selector: string): Promise<boolean> =>
  page.evaluate((wanted) => {
    let focused = document.activeElement
    while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement
    return focused?.matches(wanted) ?? false
  }, selector)

/** Presses Tab until the focus is on what is looked for. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let presses = 0; presses < 200; presses++) {
    await page.keyboard.press('Tab')
    if (await hasFocus(page, selector)) return
  }
  throw new Error(`Tab does not come to ${selector}`)
}

describe('an evacuation', () => {
  test('is approved by mouse, and moves before the eyes to its end', async () => {
    const page = await begin()
    door.close()
    await outage('ams-1')
    const row = list(page, 'open').locator('[data-evacuation]')
    await row.waitFor({ timeout: 60_000 })
    expect(await row.locator('[part=status]').first().textContent()).toBe('suggested')
    expect(await row.locator('svg[data-mark]').first().getAttribute('data-mark')).toBe('ring')
    await row.locator('button[data-action="evacuations:approve"]').click()
    await page.getByText('Let this evacuation begin?').waitFor()
    await page.locator('pintail-migrations dialog button[type=submit]').click()
    await row.locator('[part=progress]').waitFor()
    await expect.poll(() => row.locator('[part=status]').first().textContent()).toMatch(/^running \(0%\)$/)
    // It unfolds into its migrations, which are held at the target's door.
    await row.locator('.fold').click()
    const part = row.locator('[data-list=parts] > [data-status=preparing]').first()
    await part.waitFor()
    await picture(page, 'migrations-running', 'pintail-migrations')
    door.openAll()
    await list(page, 'finished').locator('[data-status=completed]').first().waitFor({ timeout: 60_000 })
    await expect.poll(() => list(page, 'finished').locator('svg[data-mark]').first().getAttribute('data-mark')).toBe('check')
    await expect.poll(async () => (await world.fleet.pintail.evacuations.list())[0]?.status).toBe('completed')
    const [evacuation] = await world.fleet.pintail.evacuations.list()
    expect(evacuation).toMatchObject({ status: 'completed', moved: evacuation?.connections })
  })

  test('is approved by keyboard alone, and the focus comes back', async () => {
    const page = await begin()
    await outage('ams-1')
    await list(page, 'open').locator('[data-evacuation]').waitFor({ timeout: 60_000 })
    await page.locator('pintail-migrations input[name=text]').focus()
    await tabTo(page, 'button[data-action="evacuations:approve"]')
    await page.keyboard.press('Enter')
    await page.locator('pintail-migrations dialog[open]').waitFor()
    await page.keyboard.press('Escape')
    await expect.poll(() => hasFocus(page, 'button[data-action="evacuations:approve"]')).toBe(true)
    expect((await world.fleet.pintail.evacuations.list())[0]?.status).toBe('suggested')
    await page.keyboard.press('Enter')
    await page.locator('pintail-migrations dialog[open]').waitFor()
    await tabTo(page, 'dialog button[type=submit]')
    await page.keyboard.press('Enter')
    await page
      .locator('pintail-migrations [data-evacuation][data-status=running], pintail-migrations [data-status=completed]')
      .first()
      .waitFor()
    expect((await world.fleet.pintail.evacuations.list())[0]?.status).not.toBe('suggested')
  })

  test('is cancelled as a whole, and what has changed meanwhile is asked again', async () => {
    const page = await begin()
    await outage('ams-1')
    const row = list(page, 'open').locator('[data-evacuation]')
    await row.waitFor({ timeout: 60_000 })
    await row.locator('button[data-action="evacuations:cancel"]').click()
    await page.getByText('Cancel this whole evacuation?').waitFor()
    // Somebody else approves while the dialog is open.
    door.close()
    const [before] = await world.fleet.pintail.evacuations.list()
    await world.fleet.pintail.evacuations.approve(String(before?.id))
    await page.locator('pintail-migrations dialog button[type=submit]').click()
    await page.locator('pintail-migrations dialog [role=alert]').getByText('It has changed since you looked').waitFor()
    expect((await world.fleet.pintail.evacuations.list())[0]?.cancelledWhy).toBeNull()
    await page.locator('pintail-migrations dialog button[type=submit]').click()
    await expect.poll(async () => (await world.fleet.pintail.evacuations.list())[0]?.cancelledWhy, { timeout: 60_000 }).not.toBeNull()
    door.openAll()
    await expect.poll(async () => (await world.fleet.pintail.evacuations.list())[0]?.status, { timeout: 60_000 }).toBe('cancelled')
  })
})

test('a single migration is cancelled, and a failed one is tried again', async () => {
  const page = await begin()
  door.refuse(true)
  await outage('ams-1')
  const row = list(page, 'open').locator('[data-evacuation]')
  await row.waitFor({ timeout: 60_000 })
  await row.locator('.fold').click()
  const part = row.locator('[data-list=parts] > .item').first()
  const id = String(await part.getAttribute('data-id'))
  await part.locator('button[data-action="migrations:cancel"]').click()
  await page.locator('pintail-migrations dialog button[type=submit]').click()
  await row.locator(`[data-id="${id}"][data-status=cancelled]`).waitFor()
  expect((await world.fleet.pintail.migrations.get(id)).status).toBe('cancelled')

  await row.locator('button[data-action="evacuations:approve"]').click()
  await page.locator('pintail-migrations dialog button[type=submit]').click()
  const failed = page.locator('pintail-migrations [data-status=failed]').first()
  await failed.waitFor({ timeout: 60_000 })
  expect(await failed.locator('svg[data-mark]').first().getAttribute('data-mark')).toBe('cross')
  expect(await failed.locator('.error').first().textContent()).toContain('the panel says no')
  await picture(page, 'migrations-failed', 'pintail-migrations')
  const failedId = String(await failed.getAttribute('data-id'))
  door.refuse(false)
  // While an evacuation of the server goes on by itself, nothing is tried again by hand.
  await row.locator('button[data-action="evacuations:cancel"]').click()
  // Its moves fail one after another: who was too slow is told that it has changed, and says it once more.
  const submit = page.locator('pintail-migrations dialog[open] button[type=submit]')
  const confirmed = async (): Promise<string | undefined> => {
    if ((await submit.count()) > 0) await submit.click({ timeout: 2000 }).catch(() => null)
    return (await world.fleet.pintail.evacuations.list())[0]?.status
  }
  await expect.poll(confirmed, { timeout: 120_000 }).toBe('cancelled')
  await list(page, 'open').locator('[data-evacuation]').waitFor({ state: 'detached' })
  const unfold = list(page, 'finished').locator('.fold').first()
  if ((await unfold.count()) > 0 && (await unfold.getAttribute('aria-expanded')) === 'false') await unfold.click()
  await page.locator(`pintail-migrations [data-id="${failedId}"] button[data-action="migrations:retry"]`).click()
  await page.locator('pintail-migrations dialog button[type=submit]').click()
  await expect
    .poll(async () => (await world.fleet.pintail.migrations.list({ limit: 200 })).migrations.some(({ retryOf }) => retryOf === failedId), {
      timeout: 60_000,
    })
    .toBe(true)
})

test('what advice saves an hour and a month stands beside it, and when it came', async () => {
  const cheap = Array.from({ length: 4 }, (_, index) => ({ id: `c${index}`, host: `10.4.0.${index}`, capacity: 40, priceEurHour: 0.15 }))
  const page = await begin({
    servers: cheap,
    connections: Object.fromEntries(cheap.map(({ id }) => [id, Array.from({ length: 4 }, (_, n) => ({ id: `${id}-u${n}` }))])),
    replace: () => ({ policy: { mode: 'suggest', advice: { enabled: true, intervalMs: 1000, afterScalingMs: 0, rounds: 1 } } }),
  })
  const row = list(page, 'open').locator('[data-evacuation]')
  await row.waitFor({ timeout: 60_000 })
  expect(await row.locator('[data-fact=savings]').first().textContent()).toMatch(/saves €0\.15\/h\s+\(€109\.50\/month\)/)
  expect(await row.locator('[data-fact=reason]').first().textContent()).toBe('cost')
  expect(await row.locator('[data-fact=moment] time').first().textContent()).toMatch(/^(now|\d+ (?:second|minute)s? ago)$/)
})

test('the list is narrowed by state, server, reason and text, and says so where nothing is left', async () => {
  const page = await begin({ policy: { mode: 'suggest' } })
  await outage('ams-1', 'fra-1')
  const rows = list(page, 'open').locator('[data-evacuation]')
  await expect.poll(() => rows.count(), { timeout: 60_000 }).toBe(2)
  await page.locator('pintail-migrations select[name=server]').selectOption('ams-1')
  await expect.poll(() => rows.count()).toBe(1)
  await page.locator('pintail-migrations select[name=state]').selectOption('transferring')
  await page.getByText('None of these matches the filter.').first().waitFor()
  await page.locator('pintail-migrations [data-clear]').click()
  await expect.poll(() => rows.count()).toBe(2)
  await page.locator('pintail-migrations select[name=reason]').selectOption('failback')
  await page.getByText('None of these matches the filter.').first().waitFor()
  await page.locator('pintail-migrations [data-clear]').click()
  await page.locator('pintail-migrations input[name=text]').fill('FRA-1')
  await expect.poll(() => rows.count()).toBe(1)
})

test('five hundred running migrations are a few rows, and the end of them comes by pages', { timeout: 600_000 }, async () => {
  const fleet = Array.from({ length: 46 }, (_, index) => ({
    id: `n${index}`,
    host: `10.3.0.${index}`,
    region: `r${index % 4}`,
    capacity: 200,
  }))
  const users = Object.fromEntries(
    fleet.map(({ id }, index) => [id, index < 20 ? Array.from({ length: 26 }, (_, n) => ({ id: `${id}-c${n}` })) : []]),
  )
  const page = await begin({ servers: fleet, connections: users })
  door.close()
  for (let index = 0; index < 20; index++) await world.fleet.pintail.cordon(`n${index}`)
  for (let index = 0; index < 20; index++) await world.fleet.pintail.drain(`n${index}`)
  for (const { id } of await world.fleet.pintail.evacuations.list()) await world.fleet.pintail.evacuations.approve(id).catch(() => null)
  await expect.poll(() => list(page, 'open').locator('> [data-status=running]').count(), { timeout: 60_000 }).toBe(20)
  const { total } = await world.fleet.pintail.migrations.list({ limit: 1 })
  expect(total).toBeGreaterThan(450)
  await expect.poll(() => page.locator('pintail-migrations .item').count()).toBe(20)
  const tookMs = await page.evaluate(async () => {
    const root = document.querySelector('pintail-dashboard')?.shadowRoot?.querySelector('pintail-migrations')?.shadowRoot
    const input = root?.querySelector<HTMLInputElement>('input[name=text]')
    if (!input) throw new Error('no input')
    const took: number[] = []
    for (const text of ['n', 'n1', 'n12', 'n1', 'n', '', 'n', 'n1', 'n', '']) {
      const begun = performance.now()
      input.value = text
      input.dispatchEvent(new InputEvent('input', { bubbles: true }))
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
      took.push(performance.now() - begun)
    }
    return took.sort((a, b) => a - b)
  })
  console.log(`${total} running migrations: a letter in the filter is drawn after ${tookMs.map(Math.round).join(', ')} ms`)
  await list(page, 'open').locator('.fold').first().click()
  expect(await list(page, 'open').locator('[data-list=parts] > .item').count()).toBeLessThanOrEqual(50)
  door.openAll()
  const pager = page.locator('pintail-migrations nav.pager')
  await pager.waitFor({ timeout: 120_000 })
  await expect
    .poll(async () => (await world.fleet.pintail.migrations.list({ status: ['completed'], limit: 1 })).total, { timeout: 120_000 })
    .toBe(total)
  await expect.poll(() => pager.locator('[role=status]').textContent(), { timeout: 60_000 }).toBe(`1–25 of ${total}`)
  await pager.getByText('Older').click()
  await expect.poll(() => pager.locator('[role=status]').textContent()).toBe(`26–50 of ${total}`)
  // Until their evacuations have ended they stand under these.
  await expect.poll(() => list(page, 'finished').locator('[part=row]').count(), { timeout: 60_000 }).toBeGreaterThan(0)
  expect(world.requests.filter((one) => /offset=25/.test(one)).length).toBeGreaterThan(0)
  expect(await seriousViolations(page)).toEqual([])
})
