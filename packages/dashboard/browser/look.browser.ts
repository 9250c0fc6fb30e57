import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connections, hostile, many, servers } from './fleets.ts'
import { picture, type Stage, stage, type Visit } from './stage.ts'

/** What axe-core finds that keeps people out. */
async function serious(page: Page): Promise<unknown[]> {
  await page.evaluate(axe.source)
  return page.evaluate(async () => {
    const { violations } = await (
      globalThis as unknown as {
        axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[] }> }
      }
    ).axe.run()
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => ({
        id,
        nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`),
      }))
  })
}

const ready = async ({ page }: Visit): Promise<void> => {
  await page.locator('pintail-map svg.map').waitFor()
  await page.locator('[part=link][data-state=live]').waitFor()
}
const nothing = { errors: [], csp: [], foreign: [] }

/** Whether anything makes the page wider than its window. */
const overflow = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

describe('a fleet in trouble', () => {
  let world: Stage
  beforeAll(async () => {
    world = await stage({ servers, connections, policy: { mode: 'suggest' }, speed: 4 })
    world.fleet.kill('ams-1')
    world.fleet.set('fra-2', { lossy: 0.4 })
    await world.fleet.pintail.cordon('sgp-2')
    await world.fleet.advance(60_000)
  })
  afterAll(() => world.close())

  test('light and dark, on a phone and on a wall, axe-core finds nothing serious', async () => {
    for (const [name, colorScheme, width, height] of [
      ['desk-light', 'light', 1280, 900],
      ['desk-dark', 'dark', 1280, 900],
      ['phone-light', 'light', 375, 812],
      ['phone-dark', 'dark', 375, 812],
      ['wall-dark', 'dark', 2560, 1440],
    ] as const) {
      const visit = await world.open(undefined, { colorScheme, viewport: { width, height } })
      await ready(visit)
      expect(await overflow(visit.page), name).toBeLessThanOrEqual(0)
      await picture(visit.page, name)
      expect(await serious(visit.page), name).toEqual([])
      await visit.page.locator('pintail-map [data-twin]').click()
      await visit.page.locator('pintail-map table').first().waitFor()
      expect(await serious(visit.page), `${name}, tables`).toEqual([])
      expect(await overflow(visit.page), `${name}, tables`).toBeLessThanOrEqual(0)
      expect(visit.complaints).toEqual(nothing)
      await visit.context.close()
    }
  })

  test('in Russian everything is Russian', async () => {
    // The page speaks the browser's language.
    const visit = await world.open(undefined, { locale: 'ru-RU' })
    await ready(visit)
    expect(await visit.page.evaluate(() => document.documentElement.lang)).toBe('ru')
    await visit.page.getByText('Что-то не так?').waitFor()
    await visit.page.getByText('Схема серверов').waitFor()
    await picture(visit.page, 'russian')
    await visit.context.close()
  })

  test('a state is a colour, a shape and a word', async () => {
    const visit = await world.open()
    await ready(visit)
    const seen = await visit.page.locator('pintail-map [data-node]').evaluateAll((nodes) =>
      nodes.map((node) => ({
        state: node.getAttribute('data-state'),
        shape: node.querySelector('.mark')?.getAttribute('d'),
        stroke: getComputedStyle(node.querySelector('.disc') as Element).stroke,
        label: node.querySelector('title')?.textContent,
      })),
    )
    const one = (state: string) => seen.find((node) => node.state === state)
    expect(one('down')?.label).toMatch(/^ams-1, down, Load: \d+ of 40$/)
    expect(one('cordoned')?.label).toContain('cordoned')
    const states = [...new Set(seen.map(({ state }) => state))]
    expect(states.length).toBeGreaterThanOrEqual(3)
    expect(new Set(states.map((state) => one(String(state))?.shape)).size).toBe(states.length)
    expect(one('down')?.stroke).not.toBe(one('up')?.stroke)
    await visit.context.close()
  })

  test('the ring is as full as the server', async () => {
    const visit = await world.open()
    await ready(visit)
    /** Servers whose ring is not as full as they are. The page may be a moment behind. */
    const wrong = async (): Promise<unknown[]> => {
      const shares = await visit.page
        .locator('pintail-map [data-node]')
        .evaluateAll((nodes) =>
          nodes.map((node) => [node.getAttribute('data-node'), Number(node.querySelector('.fill')?.getAttribute('data-share'))] as const),
        )
      const { servers: there } = world.fleet.pintail.status()
      return shares.filter(([id, share]) => {
        const report = there.find(({ serverId }) => serverId === id)
        return !(Math.abs(share - ((report?.load ?? 0) + (report?.reserved ?? 0)) / 40) < 0.005)
      })
    }
    await expect.poll(wrong).toEqual([])
    await visit.context.close()
  })

  test('by keyboard alone: to a server by arrow keys, open it, drain it, close it, and back where one was', async () => {
    const { page, context, complaints } = await world.open()
    await ready({ page } as Visit)
    const focused = (): Promise<string | null> =>
      page.evaluate(() => {
        let at = document.activeElement
        while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
        return at?.getAttribute('data-node') ?? at?.getAttribute('data-action') ?? at?.id ?? null
      })
    await page.locator('pintail-map [data-node][tabindex="0"]').focus()
    const visited = new Set([await focused()])
    for (const key of ['ArrowRight', 'ArrowDown', 'ArrowRight', 'ArrowUp', 'ArrowLeft', 'End', 'Home']) {
      await page.keyboard.press(key)
      visited.add(await focused())
    }
    expect(visited.size).toBeGreaterThan(3)
    await page.locator('pintail-map [data-node="nyc-1"]').focus()
    await page.keyboard.press('Enter')
    await expect.poll(focused).toBe('details-title')
    await picture(page, 'details')
    expect(await serious(page)).toEqual([])
    for (let tabs = 0; (await focused()) !== 'servers:drain' && tabs < 10; tabs++) await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Move everybody off this server?' })
    await dialog.waitFor()
    await picture(page, 'dialog')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'hidden' })
    await page.locator('pintail-map [part=arrow][data-from="nyc-1"]').first().waitFor()
    expect(world.fleet.pintail.status().evacuations.some(({ fromServerIds }) => fromServerIds.some((id) => id === 'nyc-1'))).toBe(true)
    await page.locator('pintail-map #details-title').focus()
    await page.keyboard.press('Escape')
    await expect.poll(focused).toBe('nyc-1')
    expect(complaints).toEqual(nothing)
    await context.close()
  })

  test('who wants less motion sees none', async () => {
    const visit = await world.open(undefined, { reducedMotion: 'reduce' })
    await ready(visit)
    await visit.page.locator('pintail-map [part=arrow]').first().waitFor()
    const running = await visit.page.evaluate(() => document.getAnimations().length)
    expect(running).toBe(0)
    await visit.context.close()
  })
})

test('hostile names are text, and the layout is intact', async () => {
  const world = await stage({
    servers: hostile,
    connections: Object.fromEntries(hostile.map(({ id }) => [id, [{ id: `${id}-c` }]])),
    speed: 0,
  })
  try {
    for (const width of [375, 1280]) {
      const visit = await world.open(undefined, { viewport: { width, height: 900 } })
      await ready(visit)
      const { page } = visit
      expect(await page.title()).toBe('Pintail')
      expect(await overflow(page)).toBeLessThanOrEqual(0)
      await picture(page, `hostile-${width}`)
      await page.locator('pintail-map [data-node=h0]').click()
      await page.locator('pintail-map #details-title').waitFor()
      expect(await page.locator('pintail-map #details-title').textContent()).toContain('<img src=x')
      await page.locator('pintail-map [data-twin]').click()
      const rows = page.locator('pintail-map tr[data-id] th bdi')
      // A row that the engine itself refuses is none: its own limit for names.
      const there = world.fleet.pintail.status().servers.length
      expect(there).toBeGreaterThan(5)
      await expect.poll(() => rows.count()).toBe(there)
      const texts = await rows.allTextContents()
      expect(texts.join('')).not.toMatch(/\p{Cc}|[\u202A-\u202E\u2066-\u2069]/u)
      expect(texts).toContain('⟨U+202E⟩moc.live⟨U+202C⟩ ams')
      for (const text of texts) expect(text.length).toBeLessThanOrEqual(40)
      expect(await overflow(page)).toBeLessThanOrEqual(0)
      await picture(page, `hostile-table-${width}`)
      expect(await page.evaluate(() => document.querySelectorAll('img, script:not([src])').length)).toBe(0)
      expect(visit.complaints).toEqual(nothing)
      await visit.context.close()
    }
  } finally {
    await world.close()
  }
})

test('no server at all is said, and no empty box is shown', async () => {
  const world = await stage({ servers: [], connections: {}, speed: 0 })
  try {
    const { page, complaints } = await world.open()
    await page.getByText('There is no server yet.').waitFor()
    expect(await page.locator('pintail-map').isVisible()).toBe(false)
    await picture(page, 'empty')
    expect(await serious(page)).toEqual([])
    expect(complaints).toEqual(nothing)
  } finally {
    await world.close()
  }
})

test('2,000 servers: regions are folded, one unfolds by Enter and folds by Escape, and the table comes in pages', {
  timeout: 600_000,
}, async () => {
  const world = await stage({ servers: many, connections: 2, speed: 0, policy: { mode: 'auto' } })
  try {
    const { page, complaints } = await world.open()
    await ready({ page } as Visit)
    expect(await page.locator('pintail-map [data-node]').count()).toBe(12)
    await picture(page, 'many-folded')
    await page.locator('pintail-map [data-node][tabindex="0"]').focus()
    // From the key to the next painted frame, as people see it.
    const latency = (key: string): Promise<number> =>
      page.evaluate(async (pressed) => {
        let at = document.activeElement
        while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
        const begun = performance.now()
        at?.dispatchEvent(new KeyboardEvent('keydown', { key: pressed, bubbles: true, composed: true, cancelable: true }))
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
        return performance.now() - begun
      }, key)
    const took = [
      await latency('ArrowRight'),
      await latency('ArrowLeft'),
      await latency('Enter'),
      await latency('ArrowDown'),
      await latency('Escape'),
    ]
    console.log(`2,000 servers: ${took.map((ms) => ms.toFixed(0)).join(', ')} ms a key`)
    await expect.poll(() => page.locator('pintail-map [data-node]').count()).toBe(12)
    await page.keyboard.press('Enter')
    await page.locator('pintail-map [data-node^=srv]').first().waitFor()
    // They appear some at a time.
    await expect.poll(() => page.locator('pintail-map [data-node^=srv]').count()).toBeGreaterThan(150)
    await picture(page, 'many-unfolded')
    await page.locator('pintail-map [data-twin]').click()
    await expect.poll(() => page.locator('pintail-map tr[data-id]').count()).toBe(25)
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByText('Page 2 of 80').waitFor()
    expect(complaints).toEqual(nothing)
  } finally {
    await world.close()
  }
})
