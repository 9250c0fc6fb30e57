import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { connections, servers } from './fleets.ts'
import { gate } from './gate.ts'
import { picture, type Stage, stage } from './stage.ts'

/** What the eye sees of an arrow: its colour by name, its line, and whether it moves. */
interface Seen {
  readonly colour: 'green' | 'blue' | 'yellow' | 'grey' | 'red' | string
  readonly line: 'plain' | 'dashed' | 'dotted' | 'wavy'
  readonly isMoving: boolean
  readonly hasCross: boolean
  readonly width: number
  /** What the browser said, for a test that fails. */
  readonly raw: string
}

const arrowOf = (status: string, from: string): string => `pintail-map svg.map [part=arrow][data-from="${from}"][data-status=${status}]`

/** Waits until there is such an arrow, and looks at it as it is drawn. */
async function see(page: Page, status: string, from = 'ams-1'): Promise<Seen> {
  const arrow = page.locator(arrowOf(status, from)).first()
  await arrow.waitFor().catch(async (error) => {
    const arrows = await page.locator('pintail-map svg.map [part=arrow]').evaluateAll((all) => all.map(({ dataset }) => dataset))
    throw new Error(`no arrow from ${from} is ${status}; there are ${JSON.stringify(arrows)}`, { cause: error })
  })
  const seen = await arrow.evaluate((element): Seen | null => {
    const line = element.querySelector('.line') as SVGPathElement
    const flow = element.querySelector('.flow')
    const { stroke, strokeDasharray, strokeWidth, animationName } = getComputedStyle(line)
    const [red = 0, green = 0, blue = 0] = (stroke.match(/[\d.]+/g) ?? []).map((value) => Number(value) / 255)
    const [most, least] = [Math.max(red, green, blue), Math.min(red, green, blue)]
    const sixth =
      most === red
        ? (green - blue) / (most - least)
        : most === green
          ? 2 + (blue - red) / (most - least)
          : 4 + (red - green) / (most - least)
    const hue = (sixth * 60 + 360) % 360
    const names: [string, number, number][] = [
      ['red', 345, 375],
      ['yellow', 35, 65],
      ['green', 110, 160],
      ['blue', 200, 230],
    ]
    const isIn = (from: number, to: number): boolean => (hue >= from && hue <= to) || (hue + 360 >= from && hue + 360 <= to)
    const isGrey = (most - least) / Math.max(most, 0.001) < 0.3
    const dash = strokeDasharray === 'none' ? null : Number.parseFloat(strokeDasharray)
    const isWavy = (line.getAttribute('d')?.match(/L/g)?.length ?? 0) > 10
    // Taken out of the page between being found and being looked at: it has no style, and nobody sees it.
    if (!element.isConnected) return null
    return {
      raw: JSON.stringify({ status: element.getAttribute('data-status'), stroke, strokeDasharray, animationName }),
      colour: isGrey ? 'grey' : (names.find(([, from, to]) => isIn(from, to))?.[0] ?? `hue ${hue}`),
      line: isWavy ? 'wavy' : dash === null ? 'plain' : dash < 1 ? 'dotted' : 'dashed',
      isMoving: animationName !== 'none' || (flow !== null && getComputedStyle(flow).animationName !== 'none'),
      hasCross: element.querySelector('.cross') !== null,
      width: Number.parseFloat(strokeWidth),
    }
  })
  return seen ?? see(page, status, from)
}

describe.each(['light', 'dark'] as const)('arrows of the map, %s', (colorScheme) => {
  let world: Stage
  let page: Page
  const gates = gate()
  beforeAll(async () => {
    // The last gate holds a call of the store, which the engine gives up after ten seconds of its clock: a page may take longer.
    world = await stage({ servers, connections, policy: { mode: 'suggest' }, replace: gates.replace, speed: 0.5 })
    page = (await world.open(undefined, { colorScheme })).page
  })
  // What a failed test leaves closed would hold up the next ones.
  afterEach(() => gates.openAll())
  afterAll(async () => {
    await world.close()
  })
  /** Drains a server up to where the gates let it. */
  const drain = async (server: string) => {
    const { id } = await world.fleet.pintail.drain(server)
    await see(page, 'suggested', server)
    await world.fleet.pintail.evacuations.approve(id)
    return id
  }

  test('suggested is grey, scheduled yellow and dashed, preparing bold and moving, transferring wavy and moving, completing blue, completed green', async () => {
    gates.close()
    const { id } = await world.fleet.pintail.drain('ams-1')
    expect(await see(page, 'suggested')).toMatchObject({ colour: 'grey', line: 'dotted', isMoving: false })
    await world.fleet.pintail.pause('all')
    await world.fleet.pintail.evacuations.approve(id)
    const scheduled = await see(page, 'scheduled')
    expect(scheduled).toMatchObject({ colour: 'yellow', line: 'dashed', isMoving: false })
    await world.fleet.pintail.resume('all')
    const preparing = await see(page, 'preparing')
    expect(preparing).toMatchObject({ colour: 'blue', line: 'plain', isMoving: true })
    // Bold: for the same users.
    expect(preparing.width).toBeGreaterThanOrEqual(scheduled.width + 4)
    await picture(page, `map-preparing-${colorScheme}`, 'pintail-map')
    gates.open('prepare')
    expect(await see(page, 'transferring')).toMatchObject({ colour: 'blue', line: 'wavy', isMoving: true })
    await picture(page, `map-transferring-${colorScheme}`, 'pintail-map')
    gates.open('move')
    await expect.poll(() => world.fleet.pintail.status().migrations.map(({ status }) => status)).toContain('completing')
    await page.reload()
    expect(await see(page, 'completing')).toMatchObject({ colour: 'blue', line: 'plain', isMoving: false })
    gates.open('complete')
    expect(await see(page, 'completed')).toMatchObject({ colour: 'green', line: 'plain', isMoving: false, hasCross: false })
    await picture(page, `map-completed-${colorScheme}`, 'pintail-map')
  })

  test('failed is red, with a cross', async () => {
    gates.refuse(true)
    const id = await drain('nyc-1')
    expect(await see(page, 'failed', 'nyc-1')).toMatchObject({ colour: 'red', line: 'plain', isMoving: false, hasCross: true })
    await picture(page, `map-failed-${colorScheme}`, 'pintail-map')
    // The rest is planned anew, and the end of such a migration would stand at a gate that holds everything behind it.
    await world.fleet.pintail.evacuations.cancel(id)
    const open = () => world.fleet.pintail.status().migrations.filter(({ fromServerId }) => fromServerId === 'nyc-1')
    await expect.poll(open).toEqual([])
    gates.refuse(false)
  })

  test('each pair has one arrow, as wide as its users are many', async () => {
    gates.close()
    await drain('sgp-1')
    await see(page, 'preparing', 'sgp-1')
    const look = () =>
      page.locator('pintail-map svg.map [part=arrow]').evaluateAll((all) =>
        all.map((arrow) => ({
          pair: `${arrow.getAttribute('data-from')} → ${arrow.getAttribute('data-to')}`,
          status: arrow.getAttribute('data-status'),
          users: Number(arrow.getAttribute('data-users')),
          width: Number.parseFloat(getComputedStyle(arrow.querySelector('.line') as Element).strokeWidth),
        })),
      )
    // Its migrations come to the gate one after another.
    const pairs = world.fleet.pintail.status().migrations.filter(({ fromServerId }) => fromServerId === 'sgp-1').length
    await expect
      .poll(async () => (await look()).filter(({ pair, status }) => pair.startsWith('sgp-1 ') && status === 'preparing').length)
      .toBe(pairs)
    const arrows = await look()
    expect(new Set(arrows.map(({ pair }) => pair)).size).toBe(arrows.length)
    const open = world.fleet.pintail.status().migrations.filter(({ fromServerId }) => fromServerId === 'sgp-1')
    for (const { toServerId, connectionCountAtStart } of open)
      expect(arrows).toContainEqual(expect.objectContaining({ pair: `sgp-1 → ${toServerId}`, users: connectionCountAtStart }))
    const preparing = arrows.filter(({ status }) => status === 'preparing').sort((a, b) => a.users - b.users)
    for (const [index, one] of preparing.entries()) {
      const next = preparing[index + 1]
      if (next && next.users > one.users) expect(next.width).toBeGreaterThan(one.width)
    }
    expect(new Set(preparing.map(({ users }) => users)).size).toBeGreaterThan(1)
    gates.openAll()
  })
})
