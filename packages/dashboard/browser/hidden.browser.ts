import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { connections, servers } from './fleets.ts'
import { stage } from './stage.ts'

/** No page of a browser without a screen is ever hidden, so that this one is told so; the browser itself takes no work off it. */
const show = (page: Page, isSeen: boolean): Promise<void> =>
  page.evaluate(
    (state) => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state })
      document.dispatchEvent(new Event('visibilitychange'))
    },
    isSeen ? 'visible' : 'hidden',
  )

test('a page that nobody sees asks nothing, hears nothing and draws nothing; seen again it shows what is', {
  timeout: 600_000,
}, async () => {
  const world = await stage({ servers, connections })
  try {
    const { page, context, complaints } = await world.open()
    await page.locator('pintail-map [data-node="ams-1"]').waitFor()
    const devtools = await context.newCDPSession(page)
    await devtools.send('Performance.enable')
    const worked = async (): Promise<number> => {
      const { metrics } = await devtools.send('Performance.getMetrics')
      return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN
    }
    /** Something on the page changes thirty times. */
    const busy = async (): Promise<void> => {
      for (let times = 0; times < 15; times++) {
        await world.fleet.pintail.cordon('nyc-2')
        await world.fleet.pintail.uncordon('nyc-2')
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    let begun = await worked()
    await busy()
    const whileSeen = (await worked()) - begun
    expect(world.streams()).toBe(1)

    await show(page, false)
    await expect.poll(() => world.streams(), { timeout: 60_000 }).toBe(0)
    world.fleet.kill('ams-1')
    let whileHidden = Number.NaN
    /** A machine that stops the browser in the middle of the little that it does has made it look like work: not each time. */
    const hiddenShare = async (): Promise<{ readonly isLittle: boolean; readonly asked: number }> => {
      const asked = world.requests.length
      begun = await worked()
      await busy()
      await busy()
      whileHidden = (await worked()) - begun
      return { isLittle: whileHidden < whileSeen / 10, asked: world.requests.length - asked }
    }
    await expect.poll(hiddenShare).toEqual({ isLittle: true, asked: 0 })
    console.log(
      `thirty changes: ${(1000 * whileSeen).toFixed(0)} ms of work while it is seen; sixty: ${(1000 * whileHidden).toFixed(1)} ms while it is not`,
    )
    expect(world.streams()).toBe(0)

    await show(page, true)
    await page.locator('pintail-map [data-node="ams-1"][data-state="down"]').waitFor({ timeout: 60_000 })
    expect(complaints).toEqual({ errors: [], csp: [], foreign: [] })
  } finally {
    await world.close()
  }
})
