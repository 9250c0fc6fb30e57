import { expect, test } from 'vitest'
import { many } from './fleets.ts'
import { gate } from './gate.ts'
import { stage } from './stage.ts'

test('2,000 servers and 500 running migrations: few things are drawn, and each input is answered', { timeout: 600_000 }, async () => {
  const gates = gate()
  const world = await stage({ servers: many, connections: 3, speed: 2, replace: gates.replace })
  try {
    const { page, complaints } = await world.open()
    await page.locator('pintail-map svg.map').waitFor()
    gates.close()
    const { pintail } = world.fleet
    for (let n = 0; pintail.status().migrations.length < 500 && n < many.length; n++) {
      const { id } = await pintail.drain(many[n]?.id ?? '')
      await pintail.evacuations.approve(id)
    }
    const all = pintail.status().migrations.length
    expect(all).toBeGreaterThanOrEqual(500)
    await page.getByText(new RegExp(`${all} migrations under way`)).waitFor({ timeout: 60_000 })
    // One arrow a pair of regions at most.
    expect(await page.locator('pintail-map svg.map [part=arrow]').count()).toBeLessThanOrEqual(12 * 11)
    await page.evaluate(() => {
      const felt: Record<number, number> = {}
      Object.assign(window, { felt })
      // What a person feels, as the browser counts it: from the key or the click to the next picture, by interaction, in steps of 8 ms.
      new PerformanceObserver((list) => {
        for (const { duration, interactionId } of list.getEntries() as (PerformanceEntry & { interactionId?: number })[])
          if (interactionId) felt[interactionId] = Math.max(felt[interactionId] ?? 0, duration)
      }).observe({ type: 'event', durationThreshold: 16 } as PerformanceObserverInit)
    })
    const before = world.fleet.events.length
    let inputs = 0
    const press = async (...keys: readonly string[]): Promise<void> => {
      for (const key of keys) {
        await page.keyboard.press(key)
        inputs++
        await page.waitForTimeout(60)
      }
    }
    const click = async (selector: string): Promise<void> => {
      await page.locator(selector).first().click()
      inputs++
      await page.waitForTimeout(60)
    }
    // Moves go through now, so that all the time something changes on the page.
    gates.open('prepare')
    await page.locator('pintail-map [data-node][tabindex="0"]').focus()
    for (let n = 0; n < 10; n++) await press('End', 'Home')
    await press('Enter', ...Array.from({ length: 20 }, (_, n) => (n % 3 === 0 ? 'ArrowDown' : 'ArrowRight')), 'Escape')
    await page.locator('pintail-migrations input[name="text"]').focus()
    await press(...'srv-1999', ...Array.from({ length: 8 }, () => 'Backspace'))
    for (let n = 0; n < 2; n++) {
      await click('pintail-map [data-twin]')
      await click('pintail-migrations [data-evacuation] summary, pintail-migrations [data-evacuation] button')
    }
    const felt = await page.evaluate(() => Object.values((window as unknown as { felt: Record<number, number> }).felt))
    // Those that took less than 16 ms are not told.
    const took = [...felt, ...Array.from({ length: Math.max(0, inputs - felt.length) }, () => 0)].sort((a, b) => a - b)
    const at = (share: number): string => `${took[Math.floor(share * (took.length - 1))]} ms`
    const events = world.fleet.events.length - before
    console.log(`${all} migrations, ${events} events, ${inputs} inputs: median ${at(0.5)}, 95 % ${at(0.95)}, longest ${at(1)}`)
    expect(events).toBeGreaterThan(100)
    expect(inputs).toBeGreaterThan(60)
    expect(complaints).toEqual({ errors: [], csp: [], foreign: [] })
  } finally {
    gates.openAll()
    await world.close()
  }
})
